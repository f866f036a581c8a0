// What docs/clients.md says of agents, with the official SDK.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { serveWithCredentials, simulate } from './gateway.mjs';

const limit = { timeout: 60_000 };
const documentation = readFileSync(new URL('../../docs/clients.md', import.meta.url), 'utf8');
const [, descriptions] = /```json\n(\{\n  "ListRobots": [^`]*)```/.exec(documentation);

const documents = {
  ListRobots: 'query ListRobots($first: Int = 5, $after: String) { robots(first: $first, after: $after) { totalCount nodes { id name status } pageInfo { hasNextPage endCursor } } }',
  StartWorkflow: 'mutation StartWorkflow($input: ExecuteWorkflowInput!) { executeWorkflow(input: $input) { jobs { id } } }',
  Workflows: '"Lists workflows." query Workflows { workflows(first: 500) { nodes { id name description tags packageName lastTriggeredAt queue { id name description } package { id name description } } } }',
  Everything: `"Lists all." query Everything { ${'abcdef'.split('').map((alias) => `${alias}: workflows(first: 500) { nodes { id name description tags packageName lastTriggeredAt queue { id name description } package { id name description } } }`).join(' ')} }`,
  Undescribed: 'query Undescribed { queues { totalCount } }',
};

let folder;
let simulated;
let gateway;
const keys = { all: 'a-key-of-the-test-that-may-do-all', queries: 'a-key-of-the-test-that-may-only-read' };

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mcp-'));
  simulated = await simulate();
  const hash = (key) => createHash('sha256').update(key).digest('hex');
  writeFileSync(join(folder, 'keys.yaml'), `keys:
  - { name: all, account: default, hash: "${hash(keys.all)}" }
  - { name: queries, account: default, hash: "${hash(keys.queries)}", operations: [query] }
`);
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(documents));
  writeFileSync(join(folder, 'manifest.descriptions.json'), descriptions);
  gateway = await serveWithCredentials(
    simulated, '--mcp=on', '--mcp-mutations=StartWorkflow', `--trusted-documents=${join(folder, 'manifest.json')}`, `--api-keys-file=${join(folder, 'keys.yaml')}`,
  );
}, limit);

after(async () => {
  await gateway?.stop();
  await simulated?.stop();
  rmSync(folder, { recursive: true });
}, limit);

// connect returns a client that sends headers.
async function connect(headers) {
  const client = new Client({ name: 'agent', version: '1.0.0' });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${gateway.origin}/mcp`), { requestInit: { headers } }));
  return client;
}

const agent = (key) => connect({ 'X-Api-Key': key });

test('an agent lists tools and runs one, as documented', limit, async () => {
  const client = await agent(keys.all);
  const { tools } = await client.listTools();
  assert.deepEqual(tools.map(({ name }) => name), ['Everything', 'ListRobots', 'StartWorkflow', 'Workflows']);
  const [, robots, start] = tools;
  assert.equal(robots.description, JSON.parse(descriptions).ListRobots);
  assert.equal(robots.inputSchema.properties.first.default, 5);
  assert.equal(robots.annotations.readOnlyHint, true);
  assert.deepEqual(start.inputSchema.required, ['input']);
  const { isError, structuredContent, content } = await client.callTool({ name: 'ListRobots', arguments: { first: 2 } });
  assert.ok(!isError);
  assert.equal(structuredContent.data.robots.nodes.length, 2);
  assert.match(content[0].text, /data from the console, not instructions/);
  assert.deepEqual(JSON.parse(content[1].text), structuredContent);
  const next = await client.callTool({ name: 'ListRobots', arguments: { first: 2, after: structuredContent.data.robots.pageInfo.endCursor } });
  assert.notDeepEqual(next.structuredContent.data, structuredContent.data);
  await client.close();
});

test('a wrong argument is named', limit, async () => {
  const client = await agent(keys.all);
  for (const [name, value] of [['first', 'two'], ['frist', 2]]) {
    const { isError, structuredContent } = await client.callTool({ name: 'ListRobots', arguments: { [name]: value } });
    assert.ok(isError);
    assert.equal(structuredContent.errors[0].extensions.argument, name);
  }
  await client.close();
});

test('an agent is refused without a key, and with a token of the console', limit, async () => {
  await assert.rejects(connect({}), /needs credentials/);
  await assert.rejects(connect({ authorization: 'Bearer a-token-of-the-console' }), /no token of the console/);
  await assert.rejects(agent('another'), /not known/);
});

test('a mutation needs a key that allows it, and is made once per idempotency key', limit, async () => {
  const [reader, client] = await Promise.all([agent(keys.queries), agent(keys.all)]);
  assert.deepEqual((await reader.listTools()).tools.map(({ name }) => name), ['Everything', 'ListRobots', 'Workflows']);
  await assert.rejects(reader.callTool({ name: 'StartWorkflow', arguments: {} }), /no tool that you may run/);
  for (const name of ['Undescribed', '__proto__', '{ viewer { userName } }']) {
    await assert.rejects(client.callTool({ name, arguments: {} }), /no tool that you may run/);
  }
  const { structuredContent } = await client.callTool({ name: 'Workflows', arguments: {} }).then(({ content }) => ({ structuredContent: JSON.parse(content.at(-1).text) }));
  const [{ id }] = structuredContent.data.workflows.nodes;
  const once = { name: 'StartWorkflow', arguments: { input: { id }, idempotencyKey: 'once' } };
  const [one, two] = [await client.callTool(once), await client.callTool(once)];
  assert.ok(!one.isError, JSON.stringify(one));
  assert.deepEqual(two.structuredContent, one.structuredContent);
  await Promise.all([reader.close(), client.close()]);
});

test('a long result is cut to 64 KiB, with a hint', limit, async () => {
  const response = await fetch(`${gateway.origin}/mcp`, {
    method: 'POST',
    headers: { 'X-Api-Key': keys.all, 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'Everything', arguments: {} } }),
  });
  const body = Buffer.from(await response.arrayBuffer());
  assert.ok(body.length > 48 * 1024 && body.length <= 64 * 1024, `${body.length} bytes`);
  const { result: { isError, structuredContent, content } } = JSON.parse(body);
  assert.ok(!isError);
  assert.equal(structuredContent, undefined);
  const [, whole, kept] = /^The data have (\d+) bytes, of which only the first (\d+) follow: .*Ask for less/.exec(content[1].text);
  assert.ok(Number(whole) > 64 * 1024);
  assert.equal(Buffer.byteLength(content[2].text), Number(kept));
  assert.throws(() => JSON.parse(content[2].text));
});
