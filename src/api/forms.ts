/** Pieces that the forms of several endpoints have in common. */

import { z } from 'zod';
import { passwordLength } from '../accounts/passwords.ts';
import type { Paisa } from '../payments/method.ts';
import { paisa, parseTaka, TakaError } from '../payments/taka.ts';
import { MoneyError, type Nano, nano, usdAtMost } from '../wallet/money.ts';

/** US dollars, exact: a number with every digit, as JSON.rawJSON makes it. */
export const usd = z.unknown().meta({ type: 'number', examples: [12.45] });

/** A moment in an answer. */
export const moment = z.date().meta({ type: 'string', format: 'date-time' });

/** US dollars that somebody asks for: a decimal as text, or a number, with up to nine decimals. */
export const usdGiven = z
  .union([z.string().max(30), z.number()])
  .transform((amount, context): Nano => {
    try {
      const exact = usdAtMost(amount);
      if (exact >= 0) return exact;
    } catch (error) {
      if (!(error instanceof MoneyError)) throw error;
    }
    context.addIssue('must be an amount of US dollars such as 5 or "12.50"');
    return nano(0);
  })
  .meta({ examples: ['12.50'] });

/** Taka, exact: a number with every digit. */
export const taka = z.unknown().meta({ type: 'number', examples: [500] });

/** Taka that somebody asks for. */
export const takaGiven = z
  .union([z.string().max(30), z.number()])
  .transform((amount, context): Paisa => {
    try {
      return parseTaka(String(amount));
    } catch (error) {
      if (!(error instanceof TakaError)) throw error;
    }
    context.addIssue('must be an amount of taka such as 500 or "500.00"');
    return paisa(0);
  })
  .meta({ examples: ['500.00'] });

export const id = z.uuid();

export const email = z
  .string()
  .trim()
  .max(254)
  .pipe(z.email())
  .meta({ examples: ['you@example.com'] });

export const password = z
  .string()
  .min(passwordLength.least)
  .max(passwordLength.most)
  .meta({ examples: ['correct horse battery'] });

export const language = z.enum(['en', 'bn']);
