/**
 * How much of an answer was generated: what an estimate charges where a provider reports no usage, and what holds and
 * checkpoints grow with. A member that nobody here knows counts as well: what a client can read is never free because it is new.
 */

import { type Fields, fields } from '../dialects/members.ts';

/** Says which part it is, not what is in it; a signature, which only its provider can read, goes with it. */
const bookkeeping: ReadonlySet<string> = new Set(['index', 'id', 'type', 'extra_content']);

/**
 * Bytes of UTF-8 in a choice of an answer, streamed or whole: strings as they are, tool calls and parts of content by their strings,
 * anything else by its JSON text. Who speaks, and what is empty, is nothing generated.
 */
export function generatedBytes(choice: unknown): number {
  const { delta, message, text } = fields(choice);
  const said = delta ?? message ?? { text };
  if (typeof said !== 'object') return weight(said);
  const members = fields(said);
  let sum = 0;
  for (const name in members) {
    const member = members[name];
    // Most often a chunk brings nothing but its content.
    if (typeof member === 'string') sum += name === 'role' ? 0 : Buffer.byteLength(member);
    else if (member !== null) sum += weightOf(name, member, members);
  }
  return sum;
}

function weightOf(name: string, member: unknown, beside: Fields): number {
  if (name === 'role') return 0;
  if (name === 'reasoning_details' && Array.isArray(member))
    return weight(member.filter((detail) => !isCounted(detail, beside)));
  if (name === 'function_call') return partBytes(member, 1);
  if (name !== 'tool_calls' && name !== 'content') return weight(member);
  if (!Array.isArray(member)) return weight(member);
  return member.reduce((sum: number, part: unknown) => sum + partBytes(part, 2), 0);
}

/** Signatures are nothing to be read, and reasoning may be told twice: as text, and in OpenRouter's details. */
function isCounted(detail: unknown, { reasoning }: Fields): boolean {
  const { type, text } = fields(detail);
  if (type === 'reasoning.encrypted') return true;
  if (type !== 'reasoning.text') return false;
  return (
    typeof text !== 'string' || text === '' || (typeof reasoning === 'string' && reasoning !== '')
  );
}

/** Of a tool call, a function call or a part of content. @param depth levels of objects in which the strings stand */
function partBytes(part: unknown, depth: number): number {
  if (depth === 0 || typeof part !== 'object' || Array.isArray(part)) return weight(part);
  const members = fields(part);
  let sum = 0;
  for (const name in members)
    if (!bookkeeping.has(name)) sum += partBytes(members[name], depth - 1);
  return sum;
}

function weight(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  return isVoid(value) ? 0 : Buffer.byteLength(JSON.stringify(value));
}

/** Nothing can be read in it. */
function isVoid(value: unknown): boolean {
  if (typeof value !== 'object' || value === null)
    return value === undefined || value === null || value === false;
  return Object.keys(value).length === 0;
}
