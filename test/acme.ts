/** A made-up author with one model, and those who sell it. */
import type { AuthorEntry, OfferEntry, ProviderEntry } from '../src/catalogue/entry.ts';

export const acme: AuthorEntry = {
  id: 'acme',
  name: 'Acme',
  models: [
    {
      name: 'one',
      title: 'One',
      released: '2026-01-01',
      contextLength: 100_000,
      maxOutputTokens: 10_000,
      parameters: 'temperature',
    },
  ],
};

/** A provider of that model. @param offer what is unlike the usual one, of $1 and $2 a million tokens */
export function sellerOfOne(id: string, offer: Partial<OfferEntry>): ProviderEntry {
  return {
    id,
    name: id,
    dialect: 'openai',
    baseUrl: 'https://api.example.com/v1',
    tokenLimitField: 'max_tokens',
    cacheCounted: 'inside',
    offers: [
      {
        model: 'acme/one',
        upstream: 'one-1',
        prices: { input: '1', output: '2' },
        source: 'vendor',
        asOf: '2026-11-01',
        ...offer,
      },
    ],
  };
}
