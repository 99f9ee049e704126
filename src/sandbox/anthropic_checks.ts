/** Checks of single values, with Anthropic's kinds of complaint. Each throws a Refusal. */
import { isObject, type Json, Refusal } from './request.ts';

export function invalid(message: string): Refusal {
  return new Refusal(400, message, null);
}

/** @throws Refusal for a member that is not known here */
export function only(value: Json, at: string, ...names: string[]): void {
  for (const name in value)
    if (!names.includes(name)) throw invalid(`${at}${name}: Extra inputs are not permitted`);
}

export function object(value: unknown, at: string): Json {
  if (!isObject(value)) throw invalid(`${at}: Input should be an object`);
  return value;
}

export function list(value: unknown, at: string): readonly unknown[] {
  if (!Array.isArray(value)) throw invalid(`${at}: Input should be a valid array`);
  return value;
}

export function text(value: unknown, at: string): string {
  if (value === undefined) throw invalid(`${at}: Field required`);
  if (typeof value !== 'string') throw invalid(`${at}: Input should be a valid string`);
  return value;
}

export function oneOf(value: unknown, at: string, ...options: string[]): string {
  const found = text(value, at);
  if (options.includes(found)) return found;
  throw invalid(`${at}: Input should be ${options.map((option) => `'${option}'`).join(' or ')}`);
}

export function number(value: unknown, at: string, low: number, high: number): number {
  if (typeof value !== 'number') throw invalid(`${at}: Input should be a valid number`);
  if (value < low) throw invalid(`${at}: Input should be greater than or equal to ${low}`);
  if (value > high) throw invalid(`${at}: Input should be less than or equal to ${high}`);
  return value;
}
