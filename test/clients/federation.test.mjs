// The gateway as a subgraph of Apollo Federation 2, beside one that extends Robot: composition as
// Apollo's tools do it, and queries across both through the runtime of Hive Gateway.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';

import { composeServices } from '@apollo/composition';
import { createGatewayRuntime } from '@graphql-hive/gateway-runtime';
import { buildSchema, graphql, parse } from 'graphql';

import { serve, simulate } from './gateway.mjs';

const limit = { timeout: 60_000 };
const types = (key, shareable) => `
  type Query { assets(first: Int = 10): AssetConnection }
  type AssetConnection { nodes: [Asset!]! pageInfo: PageInfo! }
  type PageInfo ${shareable} { hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String }
  type Asset { tag: String! robot: Robot }
  type Robot ${key} { id: ID! companyId: ID departmentId: ID assetTag: String }`;
const LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key", "@shareable"])';
const SDL = LINK + types('@key(fields: "id companyId departmentId")', '@shareable');
const executable = buildSchema(`${types('', '')} scalar _Any union _Entity = Robot extend type Query { _entities(representations: [_Any!]!): [_Entity]! }`);
executable.getType('_Entity').resolveType = () => 'Robot';

let simulated;
let gateway;
let robots; // keys of robots
let assets; // the other subgraph
let supergraph;

const post = async (url, query) => {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query }) });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined);
  return data;
};

before(async () => {
  simulated = await simulate();
  gateway = await serve(simulated, '--federation=on');
  ({ robots: { nodes: robots } } = await post(gateway.url, '{ robots(first: 5) { nodes { id companyId departmentId } } }'));
  const rootValue = {
    assets: ({ first }) => ({
      nodes: robots.slice(0, first).map((robot, i) => ({ tag: `T${i}`, robot })),
      pageInfo: { hasNextPage: robots.length > first, hasPreviousPage: false },
    }),
    _entities: ({ representations }) => representations.map(({ id }) => ({ id, assetTag: `tag of ${id}` })),
  };
  assets = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { query, variables, operationName } = JSON.parse(body);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(await graphql({ schema: executable, source: query, variableValues: variables, operationName, rootValue })));
  });
  await new Promise((resolve) => assets.listen(0, '127.0.0.1', resolve));
  const { _service } = await post(gateway.url, '{ _service { sdl } }');
  const { errors, supergraphSdl } = composeServices([
    { name: 'consoleql', url: gateway.url, typeDefs: parse(_service.sdl) },
    { name: 'assets', url: `http://127.0.0.1:${assets.address().port}/`, typeDefs: parse(SDL) },
  ]);
  assert.equal(errors, undefined);
  supergraph = createGatewayRuntime({ supergraph: supergraphSdl, logging: false, maskedErrors: false });
}, limit);

after(async () => {
  await supergraph?.[Symbol.asyncDispose]();
  assets?.close();
  assets?.closeAllConnections();
  await gateway?.stop();
  await simulated?.stop();
}, limit);

async function ask(query) {
  const response = await supergraph.fetch('http://supergraph/graphql', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query }) });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined);
  return data;
}

test('fields of another subgraph extend robots', limit, async () => {
  const { robots: page } = await ask('{ robots(first: 3) { nodes { id name assetTag } pageInfo { hasNextPage } } }');
  assert.equal(page.nodes.length, 3);
  for (const { id, name, assetTag } of page.nodes) {
    assert.ok(name);
    assert.equal(assetTag, `tag of ${id}`);
  }
});

test('another subgraph refers to robots', limit, async () => {
  const { assets: page } = await ask('{ assets(first: 4) { nodes { tag robot { id name queues { name } } } pageInfo { hasNextPage } } }');
  assert.deepEqual(page.nodes.map(({ robot }) => robot.id), robots.slice(0, 4).map(({ id }) => id));
  for (const { robot } of page.nodes) assert.ok(robot.name && robot.queues.length > 0);
  assert.equal(page.pageInfo.hasNextPage, true);
});
