import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differences } from './shape.ts';

test('the actual may have more', () => {
  assert.deepEqual(
    differences({ a: 1, b: [{ c: 'x' }] }, { a: 2, b: [{ d: 1 }, { c: 'y' }], e: 1 }),
    [],
  );
});

test('what is documented must be there, with its type', () => {
  assert.deepEqual(differences({ a: { b: 1 } }, { a: {} }), ['a.b is missing']);
  assert.deepEqual(differences({ a: 1 }, { a: '1' }), ['a is string, not number']);
  assert.deepEqual(differences({ a: null }, { a: 1 }), ['a is number, not null']);
  assert.deepEqual(differences({ a: [{ b: 1 }] }, { a: [{ b: 'x' }] }), [
    'a[0].b is string, not number',
  ]);
  assert.deepEqual(differences([1], []), ['the whole is empty']);
});

test('some members are documented by value', () => {
  assert.deepEqual(differences({ code: 'a' }, { code: 'b' }), ['code is "b", not "a"']);
  assert.deepEqual(differences({ id: 'a' }, { id: 'b' }), []);
});
