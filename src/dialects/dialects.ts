/** Every dialect, under the name by which the catalogue's providers choose it. */
import type { Dialect } from './dialect.ts';
import { openai } from './openai.ts';

export const dialects = { openai } as const satisfies Readonly<Record<string, Dialect>>;

export type DialectName = keyof typeof dialects;
