/** Every dialect, under the name by which the catalogue's providers choose it. */
import { anthropic } from './anthropic.ts';
import type { Dialect } from './dialect.ts';
import { gemini, vertex } from './gemini.ts';
import { openai } from './openai.ts';

export const dialects = { openai, anthropic, gemini, vertex } as const satisfies Readonly<
  Record<string, Dialect>
>;

export type DialectName = keyof typeof dialects;
