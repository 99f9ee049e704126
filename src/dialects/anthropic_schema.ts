/**
 * JSON schemas as Anthropic's constrained decoding takes them: objects are closed, and keywords that it refuses are told to the
 * model as words instead, so that no wish is lost.
 */
import { type Fields, fields } from './members.ts';

/** Refused by the API; a model that reads them in a description mostly keeps to them. */
const onlyWords: ReadonlySet<string> = new Set([
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
  'minLength',
  'maxLength',
  'pattern',
  'minItems',
  'maxItems',
  'uniqueItems',
  'minProperties',
  'maxProperties',
  'not',
]);
const knownFormats: ReadonlySet<unknown> = new Set([
  'date-time',
  'time',
  'date',
  'duration',
  'email',
  'hostname',
  'uri',
  'ipv4',
  'ipv6',
  'uuid',
]);
const lists: ReadonlySet<string> = new Set(['anyOf', 'oneOf', 'allOf', 'prefixItems']);
const maps: ReadonlySet<string> = new Set(['properties', '$defs', 'definitions']);

export function closedSchema(schema: unknown): unknown {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return schema;
  const given = fields(schema);
  const out: Record<string, unknown> = {};
  const words: string[] = [];
  for (const name in given) {
    const value = given[name];
    if (onlyWords.has(name) || (name === 'format' && !knownFormats.has(value)))
      words.push(`${name}: ${JSON.stringify(value)}`);
    else if (lists.has(name) && Array.isArray(value))
      out[name === 'oneOf' ? 'anyOf' : name] = value.map(closedSchema);
    else if (maps.has(name)) out[name] = closedMembers(fields(value));
    else if (name === 'items') out[name] = closedSchema(value);
    else out[name] = value;
  }
  if ((given.type === 'object' || given.properties) && given.additionalProperties === undefined)
    out.additionalProperties = false;
  if (words.length > 0)
    out.description = [given.description, `(${words.join(', ')})`].filter(Boolean).join(' ');
  return out;
}

function closedMembers(members: Fields): Fields {
  return Object.fromEntries(
    Object.entries(members).map(([name, schema]) => [name, closedSchema(schema)]),
  );
}
