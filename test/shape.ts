/** Compares documented JSON with what was really answered. */

/** Members whose value, and not only whose type, is documented. */
const exact = new Set([
  'object',
  'role',
  'type',
  'param',
  'code',
  'error',
  'message',
  'owned_by',
  'ok',
  'status',
]);

function kind(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

/**
 * Where `actual` lacks what is documented, or has it differently; empty when the document is true. The actual may have more.
 * @param path of the value, for the sentences
 */
export function differences(documented: unknown, actual: unknown, path = ''): string[] {
  const here = path || 'the whole';
  if (kind(documented) !== kind(actual))
    return [`${here} is ${kind(actual)}, not ${kind(documented)}`];
  if (Array.isArray(documented) && Array.isArray(actual))
    return documented.flatMap((element, index) => {
      const found = actual.some((other) => differences(element, other).length === 0);
      if (found) return [];
      const nearest = actual.map((other) => differences(element, other, `${path}[${index}]`));
      return nearest.sort((one, other) => one.length - other.length)[0] ?? [`${here} is empty`];
    });
  if (!isObject(documented) || !isObject(actual)) return [];
  return Object.entries(documented).flatMap(([name, value]) => {
    const inner = path ? `${path}.${name}` : name;
    if (!(name in actual)) return [`${inner} is missing`];
    const plain = typeof value !== 'object' || value === null;
    if (plain && exact.has(name) && kind(value) === kind(actual[name]) && value !== actual[name])
      return [`${inner} is ${JSON.stringify(actual[name])}, not ${JSON.stringify(value)}`];
    return differences(value, actual[name], inner);
  });
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return kind(value) === 'object';
}
