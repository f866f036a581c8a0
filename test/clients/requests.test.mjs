// What docs/clients.md says of trusted documents, of status codes, and of arrays of operations.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { ApolloClient, InMemoryCache, gql } from '@apollo/client';
import { CombinedGraphQLErrors } from '@apollo/client/errors';
import { BatchHttpLink } from '@apollo/client/link/batch-http';
import { HttpLink } from '@apollo/client/link/http';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { Client as Urql, fetchExchange } from '@urql/core';
import { auditServer } from 'graphql-http';

import { serve, simulate } from './gateway.mjs';

const limit = { timeout: 60_000 };
const manifests = fileURLToPath(new URL('../../internal/trusteddocuments/testdata', import.meta.url));

let simulated;
let gateway;
let strict; // runs trusted documents only

before(async () => {
  simulated = await simulate();
  [gateway, strict] = await Promise.all([serve(simulated), serve(simulated, `--trusted-documents=${manifests}`, '--trusted-documents-mode=only')]);
}, limit);

after(async () => {
  await Promise.all([gateway?.stop(), strict?.stop()]);
  await simulated?.stop();
}, limit);

// apollo returns a client, and the statuses of its answers.
function apollo(link) {
  const statuses = [];
  const watched = async (url, init) => {
    const response = await fetch(url, init);
    statuses.push(response.status);
    return response;
  };
  return { client: new ApolloClient({ link: link(watched), cache: new InMemoryCache() }), statuses };
}

test('Apollo Client shows why an array of operations is refused', limit, async () => {
  const { client, statuses } = apollo((fetch) => new BatchHttpLink({ uri: gateway.url, fetch, batchInterval: 20 }));
  const outcomes = await Promise.allSettled(['A', 'B', 'C'].map((name) => client.query({ query: gql`query ${name} { viewer { userName } }` })));
  for (const { status, reason } of outcomes) {
    assert.equal(status, 'rejected');
    assert.ok(CombinedGraphQLErrors.is(reason), String(reason));
    assert.match(reason.message, /send each in a request of its own/);
  }
  assert.deepEqual(statuses, [400]);
});

test('clients show errors of answers with status 400', limit, async () => {
  const { client, statuses } = apollo((fetch) => new HttpLink({ uri: gateway.url, fetch }));
  await assert.rejects(client.query({ query: gql`{ nope }` }), (error) => CombinedGraphQLErrors.is(error) && error.errors[0].extensions.code === 'GRAPHQL_VALIDATION_FAILED');
  assert.deepEqual(statuses, [400]);
  const urql = new Urql({ url: gateway.url, preferGetMethod: false, exchanges: [fetchExchange] });
  const { error } = await urql.query('{ nope }', {}).toPromise();
  assert.equal(error.graphQLErrors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED');
});

test('the audits of graphql-http pass, except those that docs/clients.md names', limit, async () => {
  const [, section] = readFileSync(new URL('../../docs/clients.md', import.meta.url), 'utf8').split(/^## Status codes$/m);
  const named = [...section.split(/^## /m)[0].matchAll(/\(([0-9A-F]{4}(?:, [0-9A-F]{4})*)\)/g)].flatMap(([, ids]) => ids.split(', '));
  const results = await auditServer({ url: gateway.url, fetchFn: fetch });
  assert.ok(results.length > 50);
  assert.deepEqual(results.filter(({ status }) => status !== 'ok').map(({ id }) => id).sort(), named.sort());
  assert.deepEqual(results.filter(({ status }) => status === 'error'), []);
});

test('Apollo Client runs documents of its manifest', limit, async () => {
  const { operations } = JSON.parse(readFileSync(`${manifests}/apollo.json`));
  const idOf = (document) => operations.find(({ name }) => name === document.definitions.find((d) => d.kind === 'OperationDefinition').name.value)?.id ?? '0';
  const { client } = apollo((fetch) => new PersistedQueryLink({ generateHash: idOf, useGETForHashedQueries: true }).concat(new HttpLink({ uri: strict.url, fetch })));
  const document = gql(operations.find(({ name }) => name === 'Robots').body);
  const { data } = await client.query({ query: document, variables: { first: 3 } });
  assert.equal(data.robots.nodes.length, 3);
  await assert.rejects(client.query({ query: gql`query Other { viewer { userName } }` }), (error) => error.errors[0].extensions.code === 'DOCUMENT_NOT_TRUSTED');
});

test('Relay names documents by doc_id', limit, async () => {
  const [id] = Object.entries(JSON.parse(readFileSync(`${manifests}/relay.json`))).find(([, text]) => text.startsWith('query AppRobotsQuery'));
  const response = await fetch(strict.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ doc_id: id, variables: { first: 3 } }),
  });
  const { data } = await response.json();
  assert.equal(data.robots.nodes.length, 3);
});
