/** Every dialect, under the name by which the catalogue's providers choose it. */
import { anthropic } from './anthropic.ts';
import { bedrock } from './bedrock.ts';
import { compatible } from './compatible.ts';
import type { Dialect } from './dialect.ts';
import { gemini } from './gemini.ts';
import { openai } from './openai.ts';
import type { Quirks } from './quirks.ts';
import { vertex, vertexAnthropic, vertexOpenai } from './vertex.ts';

export const dialects = {
  openai,
  anthropic,
  gemini,
  bedrock,
  vertex,
  vertexAnthropic,
  vertexOpenai,
} as const satisfies Readonly<Record<string, Dialect>>;

export type DialectName = keyof typeof dialects;

/** How one provider speaks. @param quirks of a provider that speaks OpenAI's form, but not quite */
export function dialectOf(name: DialectName, quirks: Quirks | undefined): Dialect {
  return quirks ? compatible(quirks) : dialects[name];
}
