// Clients that people use, with the settings that they come with, against a gateway and a
// simulated console. `make clients` builds the program and runs them.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';

import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { Client as Urql, cacheExchange, fetchExchange } from '@urql/core';
import UploadHttpLink from 'apollo-upload-client/UploadHttpLink.mjs';
import { ClientError, GraphQLClient } from 'graphql-request';
import { createClient as createSSE } from 'graphql-sse';
import { createClient as createWS } from 'graphql-ws';
import * as undici5 from 'undici5';
import * as undici6 from 'undici6';
import { WebSocket } from 'ws';

import { serve, simulate } from './gateway.mjs';

const limit = { timeout: 180_000 }; // only against hanging: the machine may be busy
const QUEUES = 'query Queues { queues(first: 500) { totalCount nodes { id name description } } }';
const CREATE = 'mutation Create($name: String!) { createQueue(input: { name: $name }) { queue { id name } } }';
const RENAME = 'mutation Rename($id: ID!, $name: String!) { updateQueue(input: { id: $id, name: $name }) { queue { id name } } }';
const UPLOAD = 'mutation Upload($file: Upload!) { uploadPackage(input: { file: $file }) { packageName lastVersion package { id } } }';
const PRIORITY = 'mutation Priority($id: ID!, $priority: Int!) { updateWorkflow(input: { id: $id, priority: $priority }) { workflow { id priority } } }';
const CHANGED = 'subscription Changed($ids: [ID!]!) { workflowChanged(ids: $ids) { id priority } }';

let simulated;
let gateway; // keeps answers
let other; // keeps none, and its changes are unknown to the first

before(async () => {
  simulated = await simulate();
  [gateway, other] = await Promise.all([serve(simulated, '--poll-interval=100ms', '--cache-life=queues=1h'), serve(simulated, '--cache=off')]);
}, limit);

after(async () => {
  const stopped = await Promise.allSettled([gateway?.stop(), other?.stop()]);
  await simulated?.stop();
  assert.deepEqual(stopped.filter(({ status }) => status === 'rejected').map(({ reason }) => reason.message), []);
}, limit);

// ask sends an operation as plainly as can be.
async function ask(url, query, variables) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined);
  return data;
}

async function workflow() {
  const data = await ask(gateway.url, '{ workflows(first: 1) { nodes { id } } }');
  return data.workflows.nodes[0].id;
}

// changing changes a workflow again and again until told to stop: a subscription begins at a
// time that the client does not tell.
function changing(id) {
  let going = true;
  const done = (async () => {
    for (let priority = 100; going; priority += 1) {
      await ask(other.url, PRIORITY, { id, priority });
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
  })();
  return async () => {
    going = false;
    await done;
  };
}

// firstEvent is the first event of a subscription while the workflow changes.
async function firstEvent(id, subscribe) {
  const stop = changing(id);
  try {
    return await new Promise((resolve, reject) => subscribe(resolve, reject));
  } finally {
    await stop();
  }
}

for (const [name, undici] of Object.entries({ undici5, undici6 })) {
  test(`${name} uploads files`, limit, async (t) => {
    const forms = {
      'a small file': [64, () => {}],
      'a file of 3 MiB': [3 << 20, () => {}],
      'fields behind the file': [64, (form) => form.set('comment', 'what this is')],
    };
    for (const [what, [size, more]] of Object.entries(forms)) {
      await t.test(what, async () => {
        const packageName = `${name} ${size} ${what}`;
        const file = JSON.stringify({ name: packageName, version: '1.0.0' });
        const form = new undici.FormData();
        form.set('operations', JSON.stringify({ query: UPLOAD, variables: { file: null } }));
        form.set('map', JSON.stringify({ 0: ['variables.file'] }));
        form.set('0', new Blob([file.padEnd(size)]), 'package.dgs');
        more(form);
        const response = await undici.fetch(gateway.url, { method: 'POST', body: form });
        const { data, errors } = await response.json();
        assert.equal(errors, undefined);
        assert.equal(data.uploadPackage.packageName, packageName);
      });
    }
  });
}

test('Apollo Client', limit, async (t) => {
  const sent = [];
  const watched = (url, init) => {
    sent.push(init.method === 'GET' ? String(url) : init.body);
    return fetch(url, init);
  };
  const socket = createWS({ url: gateway.url.replace('http', 'ws'), webSocketImpl: WebSocket, connectionParams: { Authorization: null } });
  const http = new HttpLink({ uri: gateway.url, fetch: watched, headers: { authorization: '' } });
  const sha256 = (text) => createHash('sha256').update(text).digest('hex');
  const client = (link) => new ApolloClient({ link, cache: new InMemoryCache() });
  const apollo = client(
    ApolloLink.split(({ operationType }) => operationType === 'subscription', new GraphQLWsLink(socket), http),
  );

  await t.test('query, with an empty Authorization', async () => {
    const { data } = await apollo.query({ query: gql(QUEUES) });
    assert.ok(data.queues.nodes.length > 0);
  });
  await t.test('mutation', async () => {
    const { data } = await apollo.mutate({ mutation: gql(CREATE), variables: { name: 'by Apollo' } });
    assert.equal(data.createQueue.queue.name, 'by Apollo');
    const again = await apollo.query({ query: gql(QUEUES), fetchPolicy: 'network-only' });
    assert.ok(again.data.queues.nodes.some((q) => q.name === 'by Apollo'));
  });
  for (const useGETForHashedQueries of [false, true]) {
    await t.test(`persisted queries, GET ${useGETForHashedQueries}`, async () => {
      const persisted = () => client(new PersistedQueryLink({ sha256, useGETForHashedQueries }).concat(http));
      const query = gql(`query Persisted${useGETForHashedQueries} { queues(first: 3) { nodes { id name } } }`);
      const first = await persisted().query({ query });
      sent.length = 0;
      const second = await persisted().query({ query });
      assert.deepEqual(second.data, first.data);
      assert.equal(sent.length, 1, 'the hash alone is enough');
      assert.ok(!decodeURIComponent(sent[0]).includes('queues('), sent[0]);
    });
  }
  await t.test('subscription', async () => {
    const id = await workflow();
    const event = await firstEvent(id, (next, error) =>
      apollo.subscribe({ query: gql(CHANGED), variables: { ids: [id] } }).subscribe({ next, error }),
    );
    assert.equal(event.data.workflowChanged.id, id);
  });
  apollo.stop();
  await socket.dispose();
});

test('apollo-upload-client', limit, async (t) => {
  const client = new ApolloClient({ link: new UploadHttpLink({ uri: gateway.url, fetch }), cache: new InMemoryCache() });
  for (const [what, size] of Object.entries({ 'a small file': 64, 'a file of 3 MiB': 3 << 20 })) {
    await t.test(what, async () => {
      const packageName = `apollo-upload-client ${size}`;
      const file = new File([JSON.stringify({ name: packageName, version: '1.0.0' }).padEnd(size)], 'package.dgs');
      const { data } = await client.mutate({ mutation: gql(UPLOAD), variables: { file } });
      assert.equal(data.uploadPackage.packageName, packageName);
    });
  }
  await t.test('query', async () => {
    const { data } = await client.query({ query: gql(QUEUES) });
    assert.ok(data.queues.nodes.length > 0);
  });
  client.stop();
});

test('graphql-request', limit, async (t) => {
  const client = new GraphQLClient(gateway.url, { headers: { authorization: '' } });
  await t.test('query and mutation', async () => {
    const { createQueue } = await client.request(CREATE, { name: 'by graphql-request' });
    assert.equal(createQueue.queue.name, 'by graphql-request');
    const { queues } = await client.request(QUEUES);
    assert.ok(queues.nodes.some((q) => q.id === createQueue.queue.id));
  });
  await t.test('GET', async () => {
    const { queues } = await new GraphQLClient(gateway.url, { method: 'GET', jsonSerializer: JSON }).request(QUEUES);
    assert.ok(queues.nodes.length > 0);
  });
  await t.test('errors', async () => {
    await assert.rejects(client.request('{ nope }'), (error) => error instanceof ClientError && error.response.errors[0].extensions.code === 'GRAPHQL_VALIDATION_FAILED');
  });
});

test('urql', limit, async (t) => {
  const answers = [];
  const watched = async (url, init) => {
    const response = await fetch(url, init);
    answers.push({ accept: new Headers(init.headers).get('accept'), headers: response.headers });
    return response;
  };
  const urql = (fetchOptions) =>
    new Urql({ url: gateway.url, preferGetMethod: false, exchanges: [cacheExchange, fetchExchange], fetchSubscriptions: true, fetch: watched, fetchOptions });

  await t.test('is answered with JSON, kept and compressed', async () => {
    for (let i = 0; i < 2; i += 1) {
      const { data, error } = await urql().query(QUEUES, {}, { requestPolicy: 'network-only' });
      assert.equal(error, undefined);
      assert.ok(data.queues.nodes.length > 0);
    }
    const { accept, headers } = answers.at(-1);
    assert.match(accept, /text\/event-stream/);
    assert.match(headers.get('content-type'), /^application\/(graphql-response\+)?json; charset=utf-8$/);
    assert.notEqual(headers.get('age'), null, 'the answer was kept');
    assert.match(headers.get('content-encoding') ?? '', /gzip|br|zstd/);
  });
  await t.test('sees fresh data with no-cache', async () => {
    const { queues } = await ask(gateway.url, QUEUES);
    const { id } = queues.nodes[0];
    const name = async (headers) => {
      const { data, error } = await urql({ headers }).query(QUEUES, {}, { requestPolicy: 'network-only' });
      assert.equal(error, undefined);
      return data.queues.nodes.find((q) => q.id === id).name;
    };
    const before = await name({});
    await ask(other.url, RENAME, { id, name: 'renamed elsewhere' });
    assert.equal(await name({}), before, 'what is kept is answered');
    assert.equal(await name({ 'cache-control': 'no-cache' }), 'renamed elsewhere');
    assert.equal(await name({}), 'renamed elsewhere', 'and from then on nothing older');
  });
  await t.test('mutation', async () => {
    const { data, error } = await urql().mutation(CREATE, { name: 'by urql' });
    assert.equal(error, undefined);
    assert.equal(data.createQueue.queue.name, 'by urql');
  });
  await t.test('subscription over events', async () => {
    const id = await workflow();
    let subscription;
    const event = await firstEvent(id, (next, reject) => {
      subscription = urql().subscription(CHANGED, { ids: [id] }).subscribe(({ data, error }) => (error ? reject(error) : data && next(data)));
    });
    subscription.unsubscribe();
    assert.equal(event.workflowChanged.id, id);
    assert.match(answers.at(-1).headers.get('content-type'), /^text\/event-stream; charset=utf-8$/);
  });
});

test('graphql-ws', limit, async (t) => {
  for (const connectionParams of [undefined, {}, { Authorization: null }, { authorization: '', 'X-Api-Key': '' }]) {
    await t.test(`connectionParams ${JSON.stringify(connectionParams)}`, async () => {
      const client = createWS({ url: gateway.url.replace('http', 'ws'), webSocketImpl: WebSocket, connectionParams, retryAttempts: 0 });
      for await (const { data, errors } of client.iterate({ query: QUEUES })) {
        assert.equal(errors, undefined);
        assert.ok(data.queues.nodes.length > 0);
      }
      const id = await workflow();
      const event = await firstEvent(id, (next, error) =>
        client.subscribe({ query: CHANGED, variables: { ids: [id] } }, { next, error, complete: () => {} }),
      );
      assert.equal(event.data.workflowChanged.id, id);
      await client.dispose();
    });
  }
});

test('graphql-sse', limit, async () => {
  const client = createSSE({ url: gateway.url, fetchFn: fetch, retryAttempts: 0 });
  for await (const { data, errors } of client.iterate({ query: QUEUES })) {
    assert.equal(errors, undefined);
    assert.ok(data.queues.nodes.length > 0);
  }
  for await (const { data } of client.iterate({ query: CREATE, variables: { name: 'by graphql-sse' } })) {
    assert.equal(data.createQueue.queue.name, 'by graphql-sse');
  }
  const id = await workflow();
  const event = await firstEvent(id, (next, error) =>
    client.subscribe({ query: CHANGED, variables: { ids: [id] } }, { next, error, complete: () => {} }),
  );
  assert.equal(event.data.workflowChanged.id, id);
  client.dispose();
});

test('readers that take Latin-1 unless told otherwise', limit, async (t) => {
  const plain = '\u673a\u5668\u4eba\u7ec4 \u00e9';
  await ask(gateway.url, CREATE, { name: plain });
  const read = async (url, init) => {
    const response = await fetch(url, init);
    const [, charset] = /charset=([^;]+)/.exec(response.headers.get('content-type') ?? '') ?? [];
    return new TextDecoder(charset ?? 'latin1').decode(await response.arrayBuffer());
  };
  const get = `${gateway.url}?query=${encodeURIComponent(QUEUES)}`;
  const post = { method: 'POST', body: JSON.stringify({ query: QUEUES }) };
  for (const accept of ['text/event-stream', 'application/json', 'application/graphql-response+json']) {
    await t.test(accept, async () => {
      assert.ok((await read(get, { headers: { accept } })).includes(plain));
      assert.ok((await read(gateway.url, { ...post, headers: { accept, 'content-type': 'application/json' } })).includes(plain));
    });
  }
  await t.test('errors', async () => {
    const wrong = `${gateway.url}?query=${encodeURIComponent('{ queues(first: 1) { ' + 'nope } }')}`;
    assert.match(await read(wrong, {}), /nope/);
  });
});
