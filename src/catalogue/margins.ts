/** What the operator adds to the providers' prices: percent, for all models, for those of an author, or for one. */

export interface Margins {
  /** Millionths added to the prices of a model. */
  of(modelId: string, provider?: string): number;
}

export const noMargin: Margins = { of: () => 0 };

const percent = /^(\d{1,4})(?:\.(\d{1,4}))?$/;
const entry = /^([a-z0-9-]+\/(?:\*|[a-z0-9.-]+))=(.+)$/;
const mostPercent = 1000;
/** The same in millionths. */
export const mostMargin = mostPercent * 10_000;

/** Percent with up to four decimals → millionths: "12.5" → 125000. @throws RangeError */
export function parsePercent(text: string): number {
  const [, whole, fraction = ''] = percent.exec(text.trim()) ?? [];
  if (whole === undefined || Number(text) > mostPercent)
    throw new RangeError(
      `"${text}" is not a percentage from 0 to ${mostPercent} with up to four decimals`,
    );
  return Number(whole + fraction.padEnd(4, '0'));
}

/** `openai/gpt-4o=12.5,anthropic/*=5` → millionths by model or author. @throws RangeError */
export function parseModelMargins(text: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const part of text.split(',').map((piece) => piece.trim())) {
    if (part === '') continue;
    const [, name, value] = entry.exec(part) ?? [];
    if (name === undefined || value === undefined)
      throw new RangeError(`"${part}" is not of the form author/model=percent or author/*=percent`);
    if (found.has(name)) throw new RangeError(`${name} is named twice`);
    found.set(name, parsePercent(value));
  }
  return found;
}

/**
 * The margin of each model: its own, else its author's, else the one for all.
 * @param global percent, @param byModel as `parseModelMargins` reads it
 * @param known ids of the models that there are
 * @throws RangeError for a model or author that there is not: its margin would silently not be taken
 */
export function marginsOf(global: string, byModel: string, known: Iterable<string>): Margins {
  const all = parsePercent(global);
  const named = parseModelMargins(byModel);
  const ids = new Set(known);
  const authors = new Set(Array.from(ids, (id) => id.replace(/[^/]*$/, '*')));
  for (const name of named.keys())
    if (!ids.has(name) && !authors.has(name)) throw new RangeError(`there is no model ${name}`);
  return { of: (id) => named.get(id) ?? named.get(id.replace(/[^/]*$/, '*')) ?? all };
}
