/** Bangladeshi mobile numbers, which providers write with and without the country's code. */

/** `8801619777283`, `+8801619777283`, `1619777283` and `01619777283` → `01619777283`; null for what is no such number. May hold `*`. */
export function nationalNumber(text: string): string | null {
  const digits = text.replace(/[\s-]/g, '').replace(/^\+/, '');
  const match = /^(?:880|0)?(1[\d*]{9})$/.exec(digits);
  return match ? `0${match[1]}` : null;
}

/** `01619777283` → `016******83`: enough for its owner to know it again. */
export function maskedNumber(number: string): string {
  return number.length < 6
    ? '*'.repeat(number.length)
    : `${number.slice(0, 3)}${'*'.repeat(number.length - 5)}${number.slice(-2)}`;
}
