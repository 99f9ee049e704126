/** What a command has to say. */
export interface Said {
  /** Printed with --json. */
  readonly json: unknown;
  /** Printed without it. */
  readonly text: string;
  readonly failed?: boolean;
  /** All has been printed already. */
  readonly printed?: boolean;
}
