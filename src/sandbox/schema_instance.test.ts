import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { instanceOf, NoInstance } from './schema_instance.ts';

/** zod writes the schema, and judges the instance: two sides that are not ours. */
function check(type: z.ZodType): unknown {
  const { $schema: _, ...schema } = z.toJSONSchema(type);
  const made = instanceOf(schema);
  const parsed = type.safeParse(made);
  assert.ok(parsed.success, `${JSON.stringify(schema)} is not met by ${JSON.stringify(made)}`);
  return made;
}

test('fills objects, arrays, enums, constants, numbers and texts', () => {
  const made = check(
    z.object({
      city: z.string(),
      unit: z.enum(['celsius', 'fahrenheit']),
      kind: z.literal('weather'),
      days: z.int().min(3).max(7),
      days5: z.int().multipleOf(5).min(11).max(19),
      chance: z.number().gt(0.2).lt(0.3),
      price: z.number().max(-2.5),
      tags: z.array(z.string().max(4)).min(2).max(3),
      pair: z.tuple([z.boolean(), z.null()]),
      note: z.string().min(40).optional(),
    }),
  );
  assert.partialDeepStrictEqual(made, { city: '[sandbox] city', unit: 'celsius', days5: 15 });
});

test('knows the usual formats', () => {
  check(
    z.strictObject({
      email: z.email(),
      date: z.iso.date(),
      at: z.iso.datetime(),
      id: z.uuid(),
      link: z.url(),
      ip: z.ipv4(),
      colour: z.string().regex(/^#[0-9a-f]{6}$/),
      pin: z.string().regex(/^\d{6}$/),
    }),
  );
});

test('takes an alternative that can be made, and follows references', () => {
  const Node: z.ZodType = z.lazy(() => Tree);
  const Tree = z.object({ name: z.string(), left: Node.nullable(), children: z.array(Node) });
  check(Tree);
  check(z.union([z.object({ a: z.int() }), z.string()]));
  check(z.intersection(z.object({ a: z.string() }), z.object({ b: z.int().min(9) })));
  const mutual = {
    $ref: '#/$defs/a',
    $defs: {
      a: { type: 'object', properties: { b: { $ref: '#/$defs/b' } }, required: ['b'] },
      b: { anyOf: [{ $ref: '#/$defs/a' }, { type: 'integer', minimum: 4 }] },
    },
  };
  assert.match(JSON.stringify(instanceOf(mutual)), /^(\{"b":)+4\}+$/);
});

test('says so where nothing can be made, instead of running for ever', () => {
  const endless = { type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] };
  assert.throws(() => instanceOf(endless), NoInstance);
  const wide = { type: 'array', minItems: 9, items: { $ref: '#' } };
  assert.throws(() => instanceOf(wide), NoInstance);
  assert.throws(() => instanceOf({ type: 'integer', minimum: 2, maximum: 1 }), NoInstance);
  assert.throws(() => instanceOf({ $ref: '#/$defs/none' }), NoInstance);
  assert.equal(instanceOf({ type: 'string', pattern: '([' }), '[sandbox]');
  assert.equal(instanceOf({ type: 'string', pattern: '^(a+)+$|(\\d+)+x' }), '[sandbox]');
  // Alternatives, too, can be tried in 5^20 ways.
  assert.equal(instanceOf({ type: 'string', pattern: '^(1|1|1|1|1)*x$' }), '[sandbox]');
});

const plainType: fc.Arbitrary<z.ZodType> = fc.oneof(
  fc.tuple(fc.integer({ min: -9, max: 9 }), fc.nat(9)).map(([a, b]) =>
    z
      .int()
      .min(a)
      .max(a + b),
  ),
  fc.tuple(fc.nat(60), fc.nat(9)).map(([a, b]) =>
    z
      .string()
      .min(a)
      .max(a + b),
  ),
  fc.array(fc.string(), { minLength: 1 }).map((values) => z.enum(values)),
  fc.constantFrom(z.boolean(), z.null(), z.string().nullable(), z.number().positive()),
);
const { type } = fc.letrec<{ type: z.ZodType }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 4 },
    plainType,
    fc.tuple(tie('type'), fc.nat(3)).map(([inner, least]) => z.array(inner).min(least)),
    fc.tuple(tie('type'), tie('type')).map(([a, b]) => z.union([a, b])),
    fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), tie('type')).map((all) => z.strictObject(all)),
    tie('type').map((inner) => z.object({ maybe: inner.optional(), sure: inner })),
  ),
}));

test('meets every schema that zod writes for random types', () => {
  fc.assert(
    fc.property(type, (one) => {
      check(one);
    }),
  );
});
