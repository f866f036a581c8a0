// What docs/clients.md says of the caches of clients: deletions and pages.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { ApolloClient, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { relayStylePagination } from '@apollo/client/utilities';
import { Client as Urql, cacheExchange, fetchExchange } from '@urql/core';
import { cacheExchange as graphcache } from '@urql/exchange-graphcache';

import { serve, simulate } from './gateway.mjs';

const limit = { timeout: 60_000 };
const QUEUES = 'query Queues { queues(first: 500) { nodes { id name } pageInfo { hasNextPage } } }';
const PAGE = 'query Page($after: String) { queues(first: 2, after: $after) { edges { node { id } } pageInfo { hasNextPage endCursor } } }';
const CREATE = 'mutation Create($name: String!) { createQueue(input: { name: $name }) { queue { id } } }';
const DELETE = 'mutation Delete($id: ID!) { deleteQueue(input: { id: $id }) { deletedId } }';

let simulated;
let gateway;

before(async () => {
  simulated = await simulate();
  gateway = await serve(simulated);
}, limit);

after(async () => {
  await gateway?.stop();
  await simulated?.stop();
}, limit);

const apollo = () =>
  new ApolloClient({
    link: new HttpLink({ uri: gateway.url }),
    cache: new InMemoryCache({ typePolicies: { Query: { fields: { queues: relayStylePagination(['filter', 'order']) } } } }),
  });

test('Apollo Client forgets what is deleted', limit, async () => {
  const client = new ApolloClient({ link: new HttpLink({ uri: gateway.url }), cache: new InMemoryCache() });
  const created = await client.mutate({ mutation: gql(CREATE), variables: { name: 'deleted by Apollo' } });
  const { id } = created.data.createQueue.queue;
  const query = gql(QUEUES);
  const { data } = await client.query({ query });
  assert.ok(data.queues.nodes.some((q) => q.id === id));
  await client.mutate({
    mutation: gql(DELETE),
    variables: { id },
    update(cache, { data }) {
      cache.evict({ id: cache.identify({ __typename: 'Queue', id: data.deleteQueue.deletedId }) });
      cache.gc();
    },
  });
  assert.ok(!client.readQuery({ query }).queues.nodes.some((q) => q.id === id));
  client.stop();
});

test('Apollo Client appends pages', limit, async () => {
  const client = apollo();
  const pages = client.watchQuery({ query: gql(PAGE) });
  const first = await pages.refetch();
  await pages.fetchMore({ variables: { after: first.data.queues.pageInfo.endCursor } });
  const ids = client.readQuery({ query: gql(PAGE) }).queues.edges.map((e) => e.node.id);
  assert.equal(new Set(ids).size, 4);
  client.stop();
});

const caches = {
  'the document cache': [cacheExchange, { additionalTypenames: ['Queue'] }],
  Graphcache: [
    graphcache({
      keys: { PageInfo: () => null },
      updates: {
        Mutation: {
          deleteQueue(result, _args, cache) {
            cache.invalidate({ __typename: 'Queue', id: result.deleteQueue.deletedId });
          },
        },
      },
    }),
    {},
  ],
};
for (const [name, [exchange, context]] of Object.entries(caches)) {
  test(`urql with ${name} forgets what is deleted`, limit, async () => {
    const client = new Urql({ url: gateway.url, preferGetMethod: false, exchanges: [exchange, fetchExchange] });
    const created = await client.mutation(CREATE, { name: `deleted by urql with ${name}` });
    const { id } = created.data.createQueue.queue;
    const isListed = async () => {
      const { data, error } = await client.query(QUEUES, {});
      assert.equal(error, undefined);
      return data.queues.nodes.some((q) => q.id === id);
    };
    assert.ok(await isListed());
    const { error } = await client.mutation(DELETE, { id }, context);
    assert.equal(error, undefined);
    assert.ok(!(await isListed()));
  });
}
