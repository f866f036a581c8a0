import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identity, mergeHeaders, requestOf, signInWithoutPassword } from './identity.js';

test('headers are merged into the text of the editor', () => {
  for (const [text, headers, want] of [
    ['', { Authorization: 'Bearer t' }, { Authorization: 'Bearer t' }],
    ['{ "X-Api-Key": "k", }', { CompanyId: 'c' }, { 'X-Api-Key': 'k', CompanyId: 'c' }],
    ['{ "authorization": "Bearer old" } // mine', { Authorization: 'Bearer new' }, { Authorization: 'Bearer new' }],
    ['{ "Authorization": "Bearer t", "a": "b" }', { Authorization: undefined }, { a: 'b' }],
  ]) {
    assert.deepEqual(JSON.parse(mergeHeaders(text, headers)), want, text);
  }
  assert.equal(mergeHeaders('{ "Authorization": "Bearer t" }', { Authorization: undefined }), '');
});

test('a text that is no object stays', () => {
  for (const text of ['{ "a": ', '[]', '"text"', 'null']) {
    assert.equal(mergeHeaders(text, { CompanyId: 'c' }), text);
  }
});

test('the token of a sign-in is remembered, whatever its field is called', () => {
  identity.received({ data: { login: { sessionToken: 'secret' } } });
  assert.equal(identity.get().token, 'secret');
  identity.received({ data: { login: null } });
  identity.received({ errors: [] });
  assert.equal(identity.get().token, 'secret');
});

test('a sign-in without a password is recognised', () => {
  const query = 'mutation SignIn($username: String!, $password: String!) { signIn(input: { username: $username, password: $password }) { sessionToken } }';
  assert.deepEqual(signInWithoutPassword({ query, variables: { username: 'u', password: '' } }), { username: 'u', password: '' });
  assert.equal(signInWithoutPassword({ query, variables: { username: 'u', password: 'p' } }), undefined);
  assert.equal(signInWithoutPassword({ query: '{ viewer { name } }', variables: { password: '' } }), undefined);
});

test("a request of the page sends the editors' texts and its own headers", () => {
  const asked = requestOf({ query: '{ viewer { id } }', variables: '{"a": 1} // mine', headers: '{"X-Api-Key": "k",}', own: { 'X-ConsoleQL-Trace': 'plan' } });
  assert.deepEqual(asked.headers, { 'X-Api-Key': 'k', 'X-ConsoleQL-Trace': 'plan', 'Content-Type': 'application/json' });
  assert.deepEqual(JSON.parse(asked.body), { query: '{ viewer { id } }', variables: { a: 1 } });
});

test('a request with texts that are no objects is not sent', () => {
  for (const text of ['{ "a": "b"', '[]', '"x"', '{,}']) {
    assert.throws(() => requestOf({ query: 'mutation { signOut { ok } }', headers: text, own: { 'X-ConsoleQL-Trace': 'plan' } }), /headers/);
    assert.throws(() => requestOf({ query: 'mutation { signOut { ok } }', variables: text }), /variables/);
  }
});
