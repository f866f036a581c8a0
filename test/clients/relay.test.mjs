// Relay: refetchable fragments of each type with a nodeId, and pages within another entity, compiled and run.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import relay from 'relay-compiler';
import { Environment, fetchQuery, Network, RecordSource, Store } from 'relay-runtime';

import { project, serve, simulate } from './gateway.mjs';

const limit = { timeout: 120_000 };

// The lists of a department that have each type, and the fields that are read again.
const lists = { Package: 'packages', Queue: 'queues', Robot: 'robots', Workflow: 'workflows', WorkflowLayout: 'workflowLayouts' };
const types = ['Company', 'Department', ...Object.keys(lists)];

const document = `
  query AppQuery {
    companies { id nodeId ...AppCompany }
    rootDepartment { id nodeId ...AppDepartment }
    ${Object.values(lists).map((list, i) => `${list}(first: 1) { nodes { id nodeId ...App${Object.keys(lists)[i]} } }`).join('\n')}
  }
  ${types.map((type) => `fragment App${type} on ${type} @refetchable(queryName: "App${type}RefetchQuery") { name }`).join('\n')}
  query AppQueueQuery($id: ID!) { queue(id: $id) { nodeId ...AppRobots } }
  fragment AppRobots on Queue @argumentDefinitions(count: { type: "Int", defaultValue: 2 }, cursor: { type: "String" })
    @refetchable(queryName: "AppRobotsPageQuery") {
    robots(first: $count, after: $cursor) @connection(key: "AppRobots_robots") { edges { node { id } } }
  }
`;

let simulated;
let gateway;
let dir;
let artifact; // imports what the compiler wrote
let environment;

before(async () => {
  simulated = await simulate();
  gateway = await serve(simulated);
  dir = await project('relay', gateway);
  writeFileSync(join(dir, 'src', 'App.js'), `import { graphql } from 'relay-runtime';\n${document.split(/\n(?=\s*(?:query|fragment) )/).filter((part) => part.trim()).map((part) => `graphql\`${part}\`;`).join('\n')}`);
  writeFileSync(join(dir, 'relay.config.json'), JSON.stringify({
    src: './src', schema: './schema.graphql', language: 'javascript', eagerEsModules: true, schemaConfig: { nodeInterfaceIdField: 'nodeId' },
  }));
  execFileSync(relay, ['relay.config.json'], { cwd: dir, stdio: 'pipe' });
  artifact = async (name) => (await import(pathToFileURL(join(dir, 'src', '__generated__', `${name}.graphql.js`)))).default;
  const network = Network.create(({ text }, variables) => ask({ query: text, variables }));
  environment = new Environment({ network, store: new Store(new RecordSource()) });
}, limit);

after(async () => {
  await gateway?.stop();
  await simulated?.stop();
  if (dir) rmSync(dir, { recursive: true });
}, limit);

// ask sends a request and keeps its answer.
const answers = [];
const ask = async (request) => {
  const response = await fetch(gateway.url, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(request) });
  answers.push(await response.json());
  return answers.at(-1);
};

// run executes a compiled query.
const run = async (name, variables) => fetchQuery(environment, await artifact(name), variables, { fetchPolicy: 'network-only' }).toPromise();

test('Relay refetches each type by its nodeId', limit, async () => {
  const app = await run('AppQuery', {});
  const entities = { Company: app.companies[0], Department: app.rootDepartment };
  for (const [type, list] of Object.entries(lists)) entities[type] = app[list].nodes[0];
  for (const [type, entity] of Object.entries(entities)) {
    const { node } = await run(`App${type}RefetchQuery`, { nodeId: entity.nodeId });
    assert.ok(node, type);
    const record = environment.getStore().getSource().toJSON();
    const stored = Object.values(record).find((r) => r.nodeId === entity.nodeId);
    assert.equal(stored?.__typename, type);
    assert.equal(typeof stored.name, 'string');
  }
});

test('Relay pages within Queue.robots', limit, async () => {
  const { data } = await ask({ query: '{ queues(first: 100) { nodes { id nodeId robots { totalCount } } } }' });
  const queue = data.queues.nodes.find(({ robots }) => robots.totalCount >= 4);
  await run('AppQueueQuery', { id: queue.id });
  const first = answers.at(-1).data.queue.robots;
  assert.equal(first.edges.length, 2);
  await run('AppRobotsPageQuery', { nodeId: queue.nodeId, count: 2, cursor: first.pageInfo.endCursor });
  const second = answers.at(-1).data.node.robots;
  assert.equal(new Set([...first.edges, ...second.edges].map(({ node }) => node.id)).size, 4);
});
