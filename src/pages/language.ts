/** Which of the two languages a visitor reads: asked for in the address, remembered in a cookie, or named by the browser. */

import type { Context } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';
import { bangla } from './bangla.ts';
import { english, type Texts } from './english.ts';

export type Language = 'en' | 'bn';

const cookie = 'lang';
const texts: Readonly<Record<Language, Texts>> = { en: english, bn: bangla };

export function textsOf(language: Language): Texts {
  return texts[language];
}

/** Puts values into the places of a text: `{count} models`. */
export function fill(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\{(\w+)\}/g, (place, name: string) => values[name] ?? place);
}

/** The visitor's language. One that the address asks for (`?lang=bn`) is remembered for a year. */
export function visitorLanguage(context: Context): Language {
  const asked = known(context.req.query('lang'));
  if (asked)
    setCookie(context, cookie, asked, {
      path: '/',
      maxAge: 31_536_000,
      sameSite: 'Lax',
      httpOnly: true,
    });
  return (
    asked ??
    known(getCookie(context, cookie)) ??
    preferred(context.req.header('accept-language')) ??
    'en'
  );
}

function known(language: string | undefined): Language | null {
  return language === 'en' || language === 'bn' ? language : null;
}

/** The first of our languages in the browser's order of liking. */
function preferred(header: string | undefined): Language | null {
  const liked = (header ?? '').split(',').map((entry) => {
    const [name = '', ...parameters] = entry.trim().split(';');
    const quality = parameters.find((parameter) => parameter.trim().startsWith('q='));
    const language = known(name.split('-')[0]?.toLowerCase());
    return { language, quality: quality ? Number(quality.trim().slice(2)) : 1 };
  });
  const best = liked
    .filter((entry) => entry.language !== null && entry.quality > 0)
    .sort((one, other) => other.quality - one.quality)[0];
  return best?.language ?? null;
}
