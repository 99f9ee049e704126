/** Codes of vouchers: 94 bits, a check letter that catches any one wrong letter and any two that changed places. Pure but for chance. */
import { createHash, randomInt } from 'node:crypto';

/** None that is mistaken for another; a prime number of them, which is what makes the check letter strict. */
const alphabet = '23456789ABCDEFGHJKMNPQRSTUVWXYZ';
const letters = 19;

/** The last letter: letters weighted by their places, modulo 31. */
function checkLetter(body: string): string {
  const sum = [...body].reduce(
    (total, letter, index) => total + (index + 1) * alphabet.indexOf(letter),
    0,
  );
  return alphabet.charAt(sum % alphabet.length);
}

/** Such as `7KMQ-2XHD-…`: five groups of four. */
export function newCode(): string {
  const body = Array.from({ length: letters }, () => alphabet.charAt(randomInt(alphabet.length)));
  const whole = [...body, checkLetter(body.join(''))].join('');
  return whole.replace(/.{4}(?=.)/g, '$&-');
}

/** The letters of a code as somebody typed it, without spaces and dashes; null where it can be none. */
export function readCode(typed: string): string | null {
  const text = typed
    .normalize('NFKC')
    .toUpperCase()
    .replace(/[^\p{L}\p{N}]/gu, '');
  if (text.length !== letters + 1 || [...text].some((letter) => !alphabet.includes(letter)))
    return null;
  return text.endsWith(checkLetter(text.slice(0, -1))) ? text : null;
}

/** What is kept of a code. @param letters from `readCode` */
export function codeHash(letters: string): Buffer {
  return createHash('sha256').update(`voucher ${letters}`).digest();
}
