/** Why the service cannot start, in one sentence for the operator; `main.ts` prints it without a stack. */
export class StartError extends Error {
  constructor(sentence: string, options?: { cause?: unknown }) {
    super(sentence, options);
    this.name = 'StartError';
  }
}

/** The `code` of an error of Node (`ENOENT`), of PostgreSQL (`42501`) or of the driver (`CONNECTION_CLOSED`); '' without one. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : '';
}
