/** What is said of an id that no model has: what it is, or which was probably meant. */

import type { Catalogue } from './catalogue.ts';
import { whyNotSold } from './not_sold.ts';

/** @param id as a client wrote it @returns its first letters and, where something is known, why not or what instead */
export function unknownModel(id: string, { models }: Pick<Catalogue, 'models'>): string {
  const shown = id.slice(0, 200);
  const reason = whyNotSold(id);
  if (reason) return `${shown} ${reason}`;
  const name = bareName(shown);
  for (const model of name ? models.values() : [])
    if ([model.id, ...model.aliases].some((known) => bareName(known) === name))
      return `${shown}. Did you mean ${model.id}?`;
  const kind = kinds.find(([words]) => words.test(shown.toLowerCase()))?.[1];
  return kind ? `${shown} looks like ${kind}; only models that chat can be asked here.` : shown;
}

/** What a name says of a model that nobody here has heard of. */
const kinds: readonly (readonly [RegExp, string])[] = [
  [/\b(?:embed(?:ding)?s?|bge|e5)\b/, 'an embedding model'],
  [
    /\b(?:image|imagen|dall-?e|flux|stable-diffusion|sdxl|midjourney|seedream|ideogram|recraft)\b/,
    'an image model',
  ],
  [/\b(?:video|sora|veo|kling)\b/, 'a video model'],
  [/\b(?:tts|speech|whisper|transcribe|asr)\b/, 'a speech model'],
  [/\brerank(?:er)?\b/, 'a reranking model'],
];

/** Without author, suffix, case and punctuation: what is mostly left out or written otherwise. */
function bareName(id: string): string {
  const name = id.slice(id.lastIndexOf('/') + 1).toLowerCase();
  return name.replace(/:.*$/s, '').replace(/[^a-z0-9]/g, '');
}
