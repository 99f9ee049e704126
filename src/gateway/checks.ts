/** What a member of a request may be, and how that is said to a client who sent something else. */
import { isObject } from './prompt_size.ts';

export type Check = readonly [accepts: (value: unknown) => boolean, rule: string];

export const boolean: Check = [(value) => typeof value === 'boolean', 'true or false'];
export const string: Check = [(value) => typeof value === 'string', 'a string'];
export const array: Check = [Array.isArray, 'an array'];
export const object: Check = [isObject, 'an object'];

export function number(low: number, high: number): Check {
  return [
    (value) => typeof value === 'number' && value >= low && value <= high,
    `a number from ${low} to ${high}`,
  ];
}

export function integer(low: number, high = Number.MAX_SAFE_INTEGER): Check {
  const range = high === Number.MAX_SAFE_INTEGER ? `of at least ${low}` : `from ${low} to ${high}`;
  return [
    (value) =>
      typeof value === 'number' && Number.isSafeInteger(value) && value >= low && value <= high,
    `a whole number ${range}`,
  ];
}

export function oneOf(...options: readonly string[]): Check {
  return [
    (value) => typeof value === 'string' && options.includes(value),
    `one of ${options.join(', ')}`,
  ];
}

export function either(...checks: readonly Check[]): Check {
  return [
    (value) => checks.some(([accepts]) => accepts(value)),
    checks.map(([, rule]) => rule).join(' or '),
  ];
}

/** @param most entries */
export function listOf(most: number): Check {
  return [
    (value) =>
      Array.isArray(value) &&
      value.length > 0 &&
      value.length <= most &&
      value.every((item) => typeof item === 'string' && item !== ''),
    `an array of 1 to ${most} strings`,
  ];
}
