/** Makes a value that a JSON schema accepts: what a stand-in "answers" to tools and structured outputs. */

import { isObject, type Json } from './request.ts';

/** No value was found, because the schema recurses for ever or contradicts itself. */
export class NoInstance extends Error {}

interface Place {
  readonly root: Json;
  /** `$ref`s above here. From `few` on only what is required is made, beyond `most` nothing. */
  readonly refs: number;
  /** Of the property, for texts. */
  readonly name: string;
  /** Values made so far, shared by the whole instance. */
  readonly made: { count: number };
}

const few = 3;
const most = 20;
const mostValues = 5000;

const formats: Readonly<Record<string, string>> = {
  'date-time': '2026-11-23T10:30:00Z',
  date: '2026-11-23',
  time: '10:30:00Z',
  duration: 'P1D',
  email: 'sandbox@example.com',
  hostname: 'example.com',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  uuid: '00000000-0000-4000-8000-000000000000',
  uri: 'https://example.com/sandbox',
};

/** Tried in turn against a `pattern`; general patterns are not solved. */
const patterned = [
  ...[
    'sandbox',
    'Sandbox',
    'SANDBOX',
    'sandbox-1',
    'a',
    'A',
    'aa',
    'AA',
    'aaa',
    'AAA',
    'A1',
    'AB-1234',
  ],
  ...Array.from({ length: 20 }, (_, index) => '1'.repeat(index + 1)),
  ...['1.0', '1.0.0', '#336699', '@sandbox', '+8801700000000', '01700000000', '10:30'],
  ...Object.values(formats),
];

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function members(value: unknown): Json {
  return isObject(value) ? value : {};
}

function integer(value: unknown, fallback: number): number {
  return typeof value === 'number' ? value : fallback;
}

function resolve(pointer: string, root: Json): unknown {
  let found: unknown = root;
  for (const step of pointer.replace(/^#\/?/, '').split('/')) {
    if (step === '') continue;
    const key = decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~');
    found = isObject(found) ? found[key] : undefined;
  }
  return found;
}

/** `allOf` taken together: properties and required add up, of the rest the last counts. */
function merge(schemas: readonly Json[]): Json {
  const merged: Record<string, unknown> = {};
  for (const schema of schemas) {
    const properties = { ...members(merged.properties), ...members(schema.properties) };
    const required = [...list(merged.required), ...list(schema.required)];
    Object.assign(merged, schema, { properties, required: [...new Set(required)] });
  }
  return merged;
}

/** A row of characters and classes of them, each perhaps repeated: what cannot keep a matcher busy. */
const plainPattern =
  /^\^?(?:(?:\[[^\]\\[]+\]|\\[dwsDWS.\-/]|[\w \-@:/,#])(?:\{\d{1,3}(?:,\d{0,3})?\}|[+*?])?){1,12}\$?$/;
const mostRepetitions = 4;

/** `null` for patterns that are wrong, or that somebody may have written to keep this process busy. */
function safePattern(pattern: string): RegExp | null {
  if (pattern.length > 100 || !plainPattern.test(pattern)) return null;
  if ((pattern.match(/[+*?}]/g) ?? []).length > mostRepetitions) return null;
  try {
    return new RegExp(pattern, 'u');
  } catch {
    return null;
  }
}

function makeText(schema: Json, place: Place): string {
  const least = integer(schema.minLength, 0);
  const greatest = integer(schema.maxLength, Number.POSITIVE_INFINITY);
  const format = typeof schema.format === 'string' ? formats[schema.format] : undefined;
  if (format) return format;
  const pattern = typeof schema.pattern === 'string' ? safePattern(schema.pattern) : null;
  const found =
    pattern &&
    patterned.find((text) => text.length >= least && text.length <= greatest && pattern.test(text));
  if (found) return found;
  const text = `[sandbox] ${place.name}`.trim();
  return text.slice(0, greatest).padEnd(Math.min(least, 100_000), '.');
}

function makeNumber(schema: Json, whole: boolean): number {
  const step = integer(schema.multipleOf, 0) || (whole ? 1 : 0);
  const low = Math.max(
    integer(schema.minimum, Number.NEGATIVE_INFINITY),
    integer(schema.exclusiveMinimum, Number.NEGATIVE_INFINITY),
  );
  const high = Math.min(
    integer(schema.maximum, Number.POSITIVE_INFINITY),
    integer(schema.exclusiveMaximum, Number.POSITIVE_INFINITY),
  );
  const fits = (value: number) =>
    value >= low &&
    value <= high &&
    value !== schema.exclusiveMinimum &&
    value !== schema.exclusiveMaximum &&
    (step === 0 || Number.isInteger(value / step));
  const near = (bound: number) => (step === 0 ? [bound] : multiplesNear(bound, step));
  const tries = [1, step, ...near(low), (low + high) / 2, low + 0.5, high - 0.5, ...near(high), 0];
  const found = tries.find((value) => Number.isFinite(value) && fits(value));
  if (found === undefined) throw new NoInstance('No number lies within the bounds.');
  return found;
}

function multiplesNear(bound: number, step: number): number[] {
  const below = Math.floor(bound / step);
  return [below - 1, below, below + 1, below + 2].map((times) => times * step);
}

/** The value, or nothing where it cannot be made: for what the schema does not require. */
function attempt<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof NoInstance) return undefined;
    throw error;
  }
}

function makeObject(schema: Json, place: Place): Record<string, unknown> {
  const properties = members(schema.properties);
  const required = list(schema.required).map(String);
  const made: Record<string, unknown> = {};
  for (const [name, inner] of Object.entries(properties)) {
    const here = { ...place, name };
    if (required.includes(name)) made[name] = make(inner, here);
    else if (place.refs < few) {
      const value = attempt(() => make(inner, here));
      if (value !== undefined) made[name] = value;
    }
  }
  for (const name of required)
    if (!Object.hasOwn(properties, name))
      made[name] = make(schema.additionalProperties ?? {}, { ...place, name });
  return made;
}

function makeArray(schema: Json, place: Place): unknown[] {
  const prefix = list(schema.prefixItems);
  const least = integer(schema.minItems, 0);
  const wanted = Math.max(least, prefix.length, place.refs < few ? 1 : 0);
  const length = Math.min(wanted, integer(schema.maxItems, wanted));
  const made: unknown[] = [];
  for (let index = 0; index < length; index += 1) {
    const inner = prefix[index] ?? schema.items ?? {};
    const here = { ...place, name: `${place.name} ${index + 1}`.trim() };
    if (index < least) made.push(make(inner, here));
    else {
      const value = attempt(() => make(inner, here));
      if (value === undefined) break;
      made.push(value);
    }
  }
  return made;
}

/** Of several ways the first that can be made; deep down the plain ones first, so that recursion ends. */
function makeAny(ways: readonly unknown[], place: Place): unknown {
  const weight = (way: unknown): number => {
    if (!isObject(way)) return 1;
    if (way.type === 'null') return 0;
    return way.$ref !== undefined || way.type === 'object' || way.type === 'array' ? 2 : 1;
  };
  const ordered = place.refs < few ? ways : ways.toSorted((a, b) => weight(a) - weight(b));
  for (const way of ordered) {
    const value = attempt(() => make(way, place));
    if (value !== undefined) return value;
  }
  throw new NoInstance('None of the alternatives can be made.');
}

function makeTyped(schema: Json, type: unknown, place: Place): unknown {
  switch (type) {
    case 'object':
      return makeObject(schema, place);
    case 'array':
      return makeArray(schema, place);
    case 'integer':
      return makeNumber(schema, true);
    case 'number':
      return makeNumber(schema, false);
    case 'boolean':
      return true;
    case 'null':
      return null;
    default:
      return makeText(schema, place);
  }
}

/** Many schemas leave the type to be seen from their keywords. */
function typeOf(schema: Json): unknown {
  if (schema.type !== undefined) return schema.type;
  if (schema.properties !== undefined || schema.required !== undefined) return 'object';
  if (schema.items !== undefined || schema.prefixItems !== undefined) return 'array';
  return schema.minimum !== undefined || schema.maximum !== undefined ? 'number' : 'string';
}

function make(schema: unknown, place: Place): unknown {
  place.made.count += 1;
  if (place.made.count > mostValues || place.refs > most)
    throw new NoInstance('The schema leads to no end.');
  if (schema === false) throw new NoInstance('Nothing is allowed here.');
  if (!isObject(schema)) return makeText({}, place);
  if (schema.const !== undefined) return schema.const;
  if (Array.isArray(schema.enum)) return schema.enum[0];
  const { $ref: pointer, allOf, anyOf, oneOf, ...own } = schema;
  if (typeof pointer === 'string') {
    const target = resolve(pointer, place.root);
    if (!isObject(target)) throw new NoInstance(`There is no ${pointer}.`);
    return make(merge([target, own]), { ...place, refs: place.refs + 1 });
  }
  if (Array.isArray(allOf)) return make(merge([...allOf.filter(isObject), own]), place);
  const ways = anyOf ?? oneOf;
  if (Array.isArray(ways)) {
    const joined =
      own.properties === undefined ? ways : ways.map((way) => merge([own, members(way)]));
    return makeAny(joined, place);
  }
  const type = typeOf(own);
  if (!Array.isArray(type)) return makeTyped(own, type, place);
  return makeAny(
    type.map((one) => ({ ...own, type: one })),
    place,
  );
}

/**
 * A value that the schema accepts; texts begin with "[sandbox]" where the schema leaves them free.
 * @throws NoInstance where none can be found
 */
export function instanceOf(schema: Json): unknown {
  return make(schema, { root: schema, refs: 0, name: '', made: { count: 0 } });
}
