/** How providers that speak OpenAI's form differ from it. Each fact of the wire is one member; who has which stands in the catalogue. */

/** What a provider means by an error: that its account or key does not work, that it was asked too often, or that it has failed itself. */
export type ErrorMeaning = 'key' | 'rate' | 'failed';

/** A member that is left out: as OpenAI has it. */
export interface Quirks {
  /** It knows no developer: the message goes as the system's. */
  readonly developerRole?: false;
  /** Parameters that it refuses, or takes no notice of although they would change the answer. */
  readonly lacks?: readonly string[];
  /** All parameters that it takes, where it refuses any other. */
  readonly takes?: readonly string[];
  /** It refuses members of messages that it does not know. */
  readonly strictMessages?: true;
  /** OpenAI's names of parameters, and its own. */
  readonly renames?: Readonly<Record<string, string>>;
  /** Least and most; what is beyond becomes the nearer of them. */
  readonly temperature?: readonly [least: number, most: number];
  /** Forms of `tool_choice` that it has besides `auto`. */
  readonly toolChoices?: readonly ('none' | 'required' | 'named')[];
  /** It does not hold tools to their schema, and may refuse being asked to. */
  readonly strictTools?: false;
  /** It knows tools that are functions, and no others. */
  readonly customTools?: false;
  /** Ids of calls must have nine letters or digits. */
  readonly shortCallIds?: true;
  /** User and assistant must take turns. */
  readonly alternatingRoles?: true;
  /** Members of a streamed request with tools, without which arguments come in one piece. */
  readonly streamedTools?: Readonly<Record<string, unknown>>;
  /** How reasoning is asked for, where not by `reasoning_effort` alone. */
  readonly reasoning?: {
    readonly on: Readonly<Record<string, unknown>>;
    readonly off: Readonly<Record<string, unknown>>;
    /** It takes `reasoning_effort` as well. */
    readonly effort?: true;
    /** Member with the most tokens of reasoning. */
    readonly budget?: string;
  };
  /**
   * Where a message of the assistant brings its reasoning back; left out: not at all. `content`: in parts of type thinking.
   * In answers any of them is understood.
   */
  readonly reasoningMember?: 'reasoning_content' | 'reasoning' | 'content';
  /** Header of the key, in place of `authorization`. */
  readonly keyHeader?: 'api-key';
  /** Models, by its own names, that answer as streams alone: asked for one, and made whole. */
  readonly streamsOnly?: readonly string[];
  /** Most tokens of output that it gives in one piece: where more are allowed it is asked for a stream, which is made whole. */
  readonly wholeUpTo?: number;
  /** By the `code` or `type` of an error, where its status tells something else. */
  readonly errors?: Readonly<Record<string, ErrorMeaning>>;
}

/** What OpenAI alone has: others ignore it at best. */
export const openaiOnly: readonly string[] = [
  'store',
  'metadata',
  'prediction',
  'verbosity',
  'service_tier',
  'prompt_cache_key',
  'safety_identifier',
  'modalities',
  'functions',
  'function_call',
];

/** What those have in common that serve open weights, or made their form after OpenAI's earlier one. */
export const usualQuirks = {
  developerRole: false,
  lacks: openaiOnly,
  strictTools: false,
  customTools: false,
  toolChoices: ['none', 'required', 'named'],
  reasoningMember: 'reasoning_content',
} as const satisfies Quirks;
