import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wordedResults } from './socket.js';

const failing = reason => ({
  [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(reason), return: () => Promise.resolve({ done: true, value: 'returned' }) }),
});

test('a WebSocket that does not open is told of in words', async () => {
  await assert.rejects(wordedResults(failing(new Event('error'))).next(), { name: 'Error', message: /WebSocket/ });
});

test('other reasons are passed on as they are', async () => {
  const reason = [{ message: 'no such field' }];
  await assert.rejects(wordedResults(failing(reason)).next(), caught => caught === reason);
});

test('a subscription can be ended while it waits', async () => {
  const waiting = { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}), return: () => Promise.resolve({ done: true, value: undefined }) }) };
  const results = wordedResults(waiting);
  results.next();
  assert.deepEqual(await results.return(), { done: true, value: undefined });
});
