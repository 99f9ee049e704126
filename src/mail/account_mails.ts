/** What accounts are written about: their address, their password. */

import { createHash } from 'node:crypto';
import type { Config } from '../config.ts';
import type { Sql } from '../db/database.ts';
import { timeOrderedId } from '../ids.ts';
import { compose, type Letter } from './compose.ts';
import { enqueueMail, type Language } from './outbox.ts';

/** Proves that the address is the account's. @param url with the token, good for a day */
function verificationMail(language: Language, url: string): Letter {
  if (language === 'bn')
    return {
      subject: 'আপনার ই-মেইল ঠিকানা নিশ্চিত করুন',
      paragraphs: ['AK AI CORE-এ এই ঠিকানা দিয়ে একটি অ্যাকাউন্ট খোলা হয়েছে। ঠিকানাটি আপনার হলে নিশ্চিত করুন।'],
      link: { label: 'ঠিকানা নিশ্চিত করুন', url },
      note: 'লিংকটি একবার, এবং ২৪ ঘণ্টা পর্যন্ত কাজ করবে। অ্যাকাউন্টটি আপনি না খুলে থাকলে কিছু করতে হবে না।',
    };
  return {
    subject: 'Confirm your e-mail address',
    paragraphs: [
      'An account was made at AK AI CORE with this address. If it is yours, please confirm it.',
    ],
    link: { label: 'Confirm the address', url },
    note: 'The link works once, within 24 hours. If you did not make the account, you need not do anything.',
  };
}

/** @param url with the token, good for an hour */
function resetMail(language: Language, url: string): Letter {
  if (language === 'bn')
    return {
      subject: 'নতুন পাসওয়ার্ড দিন',
      paragraphs: ['আপনার AK AI CORE অ্যাকাউন্টের পাসওয়ার্ড বদলানোর অনুরোধ এসেছে।'],
      link: { label: 'নতুন পাসওয়ার্ড দিন', url },
      note: 'লিংকটি একবার, এবং এক ঘণ্টা পর্যন্ত কাজ করবে। অনুরোধটি আপনার না হলে কিছু করতে হবে না: পাসওয়ার্ড আগের মতোই আছে।',
    };
  return {
    subject: 'Choose a new password',
    paragraphs: ['Somebody asked for a new password for your account at AK AI CORE.'],
    link: { label: 'Choose a new password', url },
    note: 'The link works once, within an hour. If it was not you, you need not do anything: your password is as it was.',
  };
}

function passwordChangedMail(language: Language): Letter {
  if (language === 'bn')
    return {
      subject: 'আপনার পাসওয়ার্ড বদলানো হয়েছে',
      paragraphs: [
        'আপনার AK AI CORE অ্যাকাউন্টের পাসওয়ার্ড এইমাত্র বদলানো হয়েছে, আর অন্য সব জায়গা থেকে সাইন-আউট করা হয়েছে।',
        'কাজটি আপনার না হলে এখনই নতুন পাসওয়ার্ড চেয়ে নিন এবং আমাদের জানান।',
      ],
    };
  return {
    subject: 'Your password was changed',
    paragraphs: [
      'The password of your account at AK AI CORE has just been changed, and all other sessions were ended.',
      'If it was not you, ask for a new password at once and tell us.',
    ],
  };
}

interface Sending {
  readonly sql: Sql;
  readonly config: Config;
  /** Address of the site. */
  readonly origin: () => string;
}

const letters = { verify: verificationMail, reset: resetMail };
/** Pages of the site. */
const places = { verify: '/account/confirm', reset: '/account/password' };

/** Mails a link with a token, where there is one. */
export async function mailLink(
  { sql, config, origin }: Sending,
  link: keyof typeof letters,
  made: { readonly token: string; readonly email: string; readonly language: Language } | null,
): Promise<void> {
  if (!made) return;
  const { token, email: to, language } = made;
  const url = `${origin()}${places[link]}?token=${token}&lang=${language}`;
  const key = `${link} ${createHash('sha256').update(token).digest('hex')}`;
  const content = compose(language, letters[link](language, url), config.mode === 'sandbox');
  await enqueueMail(sql, { to, language, key, ...content });
}

export async function mailPasswordChanged(
  { sql, config }: Pick<Sending, 'sql' | 'config'>,
  { email: to, language }: { readonly email: string; readonly language: Language },
): Promise<void> {
  const content = compose(language, passwordChangedMail(language), config.mode === 'sandbox');
  await enqueueMail(sql, { to, language, key: `password ${timeOrderedId()}`, ...content });
}
