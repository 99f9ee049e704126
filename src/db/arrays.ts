/**
 * Arrays of PostgreSQL as arrays of JavaScript, for the driver, which otherwise asks every new connection for its types:
 * a query whose failure, when the database goes away at that moment, nothing can catch, and which ends the process.
 */

type Read = (text: string) => unknown;
type Write = (value: unknown) => unknown;

/** The element's type → its array's; PostgreSQL's own numbers, which never change. */
const arrayTypes: ReadonlyMap<number, number> = new Map([
  [16, 1000], // bool
  [17, 1001], // bytea
  [20, 1016], // int8
  [21, 1005], // int2
  [23, 1007], // int4
  [25, 1009], // text
  [26, 1028], // oid
  [114, 199], // json
  [650, 651], // cidr
  [700, 1021], // float4
  [701, 1022], // float8
  [869, 1041], // inet
  [1043, 1015], // varchar
  [1082, 1182], // date
  [1114, 1115], // timestamp
  [1184, 1185], // timestamptz
  [1700, 1231], // numeric
  [2950, 2951], // uuid
  [3802, 3807], // jsonb
]);

/** One element, or a bracket; a quoted element may hold anything, with \ before " and \. */
const piece = /\{|\}|"((?:[^"\\]|\\.)*)"|[^{},"]+/gs;

/** `{1,NULL,"a \"b\""}` → `[1, null, 'a "b"']`, nested ones too. */
export function readArray(text: string, read: Read): unknown[] {
  const open: unknown[][] = [[]];
  // Bounds, as in [0:2]={…}, are only written where they are not the usual ones.
  for (const [token, quoted] of text.slice(text.indexOf('{')).matchAll(piece)) {
    if (token === '{') {
      open.push([]);
    } else if (token === '}') {
      const done = open.pop();
      open.at(-1)?.push(done);
    } else if (quoted !== undefined) {
      open.at(-1)?.push(read(quoted.replace(/\\(.)/gs, '$1')));
    } else {
      open.at(-1)?.push(token === 'NULL' ? null : read(token));
    }
  }
  const whole = open[0]?.[0];
  return Array.isArray(whole) ? whole : [];
}

/** The other way; text that is an array already stays as it is. */
export function writeArray(value: unknown, write: Write): string {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) throw new TypeError('an array was expected');
  const items = value.map((item: unknown) => {
    if (item === null) return 'NULL';
    if (item === undefined) throw new TypeError('undefined cannot be stored: say null');
    if (Array.isArray(item)) return writeArray(item, write);
    return `"${String(write(item)).replace(/["\\]/g, '\\$&')}"`;
  });
  return `{${items.join(',')}}`;
}

/** Enters all array types into the driver's two tables. */
export function addArrayTypes(options: {
  readonly parsers: Record<number, Read>;
  readonly serializers: Record<number, Write>;
}): void {
  const { parsers, serializers } = options;
  for (const [element, array] of arrayTypes) {
    const read = parsers[element] ?? ((text: string) => text);
    const write = serializers[element] ?? String;
    parsers[array] = (text) => readArray(text, read);
    serializers[array] = (value) => writeArray(value, write);
  }
}
