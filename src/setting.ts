/** What a setting is, and the kinds of them: each parses the text of its variable, or says in one sentence why it cannot be used. */

export class SettingError extends Error {}

export interface Setting<T> {
  /** Of the environment. */
  readonly variable: string;
  readonly parse: (text: string) => T;
  readonly fallback: T;
  readonly sentence: string;
}

export function text(variable: string, fallback: string, sentence: string): Setting<string> {
  return { variable, parse: (value) => value, fallback, sentence };
}

export function integer(
  variable: string,
  fallback: number,
  low: number,
  high: number,
  sentence: string,
): Setting<number> {
  const parse = (value: string): number => {
    const number = Number(value);
    if (!/^\d+$/.test(value) || number < low || number > high)
      throw new SettingError(
        `${variable} must be a whole number from ${low} to ${high}, not "${value}".`,
      );
    return number;
  };
  return { variable, parse, fallback, sentence };
}

export function choice<const T extends string>(
  variable: string,
  options: readonly T[],
  fallback: T,
  sentence: string,
): Setting<T> {
  const parse = (value: string): T => {
    const found = options.find((option) => option === value);
    if (!found)
      throw new SettingError(`${variable} must be ${options.join(' or ')}, not "${value}".`);
    return found;
  };
  return { variable, parse, fallback, sentence };
}

export function url(variable: string, fallback: string, sentence: string): Setting<string> {
  const parse = (value: string): string => {
    if (!URL.canParse(value) || !/^https?:$/.test(new URL(value).protocol))
      throw new SettingError(`${variable} must be an http or https address, not "${value}".`);
    return value.replace(/\/+$/, '');
  };
  return { variable, parse, fallback, sentence };
}

const mostUsd = 1000;

/** An amount that stays text, because money is made of text exactly, and not by way of a double. */
export function usd(variable: string, fallback: string, sentence: string): Setting<string> {
  const parse = (value: string): string => {
    if (!/^\d{1,4}(?:\.\d{1,9})?$/.test(value) || Number(value) > mostUsd)
      throw new SettingError(
        `${variable} must be an amount of US dollars from 0 to ${mostUsd} with up to nine decimals, such as ${fallback}, not "${value}".`,
      );
    return value;
  };
  return { variable, parse, fallback, sentence };
}

/** Text of a form that one expression knows. */
export function form(
  variable: string,
  fallback: string,
  pattern: RegExp,
  rule: string,
  sentence: string,
): Setting<string> {
  const parse = (value: string): string => {
    if (!pattern.test(value))
      throw new SettingError(`${variable} must be ${rule}, not "${value}".`);
    return value;
  };
  return { variable, parse, fallback, sentence };
}

/** The same for text that nobody may read over a shoulder: the sentence about a wrong one does not show it. */
export function hidden(
  variable: string,
  isGood: (text: string) => boolean,
  rule: string,
  sentence: string,
): Setting<string> {
  const parse = (value: string): string => {
    if (!isGood(value)) throw new SettingError(`${variable} must be ${rule}.`);
    return value;
  };
  return { variable, parse, fallback: '', sentence };
}
