import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openingTabs, readExamples, withoutHeaders } from './session.js';

const examples = readExamples({
  examples: [
    { title: 'First\none', query: 'query A { a }', variables: '{"x":1}' },
    { title: 'Second', query: '# said already\nquery B { b }' },
    { title: '', query: 'query C { c }' },
  ],
});
const stored = { getItem: key => (key === 'graphiql:tabState' ? '{}' : null) };
const empty = { getItem: () => null };
const open = (search, storage, list = examples) => openingTabs({ examples: list, headers: '{}', search, storage });

test('an example carries its title as a comment, unless it begins with one', () => {
  assert.deepEqual(examples.map(({ query }) => query), ['# First one\nquery A { a }', '# said already\nquery B { b }', 'query C { c }']);
});

test('no examples at all', () => {
  assert.deepEqual(readExamples({}), []);
});

test('a first visit opens the examples, the first one with its variables', () => {
  const { initialQuery, initialVariables, defaultTabs } = open('', empty);
  assert.equal(initialQuery, '# First one\nquery A { a }');
  assert.equal(initialVariables, '{"x":1}');
  assert.deepEqual(defaultTabs.map(({ query, headers }) => [query.at(-3), headers]), [['a', '{}'], ['b', '{}'], ['c', '{}']]);
});

test('a first visit without local storage does the same', () => {
  assert.equal(open('', undefined).initialVariables, '{"x":1}');
});

test('a later visit opens the tabs that were left', () => {
  const tabs = open('', stored);
  assert.equal('initialQuery' in tabs, false);
  assert.equal('initialVariables' in tabs, false);
});

for (const [visit, storage] of [['first', empty], ['later', stored]]) {
  test(`the address's query comes first on a ${visit} visit`, () => {
    const { initialQuery, initialVariables, defaultTabs } = open('?query=%7B%20d%20%7D&variables=%7B%7D', storage);
    assert.equal(initialQuery, '{ d }');
    assert.equal(initialVariables, '{}');
    assert.equal(defaultTabs.length, 4);
    assert.deepEqual(defaultTabs[0], { query: '{ d }', variables: '{}', headers: '{}' });
  });
}

test("the address's query without variables never inherits any", () => {
  assert.equal(open('?query=%7Bd%7D', stored).initialVariables, '');
});

test('without examples GraphiQL is left to its own introduction', () => {
  assert.deepEqual(open('', empty, []), {});
});

test('what is stored has no headers', () => {
  const stored = {};
  const storage = Object.defineProperties(stored, {
    setItem: { value: (key, value) => (stored[key] = value) },
    getItem: { value: key => stored[key] ?? null },
    removeItem: { value: key => delete stored[key] },
  });
  const safe = withoutHeaders(storage);
  safe.setItem('graphiql:queries', JSON.stringify({ queries: [{ query: '{ a }', headers: '{"Authorization":"Bearer t"}' }] }));
  safe.setItem('graphiql:query', '{ a } # "headers"');
  assert.equal(safe.getItem('graphiql:queries'), '{"queries":[{"query":"{ a }","headers":null}]}');
  assert.equal(safe.getItem('graphiql:query'), '{ a } # "headers"');
  stored.other = 'x';
  assert.equal(safe.length, 2);
  safe.clear();
  assert.deepEqual(Object.keys(stored), ['other']);
});
