// GraphQL Code Generator, with the settings of docs/clients.md: a typed document is generated, compiled, and run by graphql-request.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { project, serve, simulate } from './gateway.mjs';

const limit = { timeout: 180_000 };
const modules = fileURLToPath(new URL('node_modules', import.meta.url));

const app = `
import { request } from 'graphql-request';
import { graphql } from './gql/index.js';

const Robots = graphql(\`query Robots($first: Int!, $status: [RobotStatus!]) {
  robots(first: $first, filter: { status: $status }) { totalCount nodes { id name status lastHeartbeatTime } }
}\`);
const { robots } = await request(process.argv[2]!, Robots, { first: 2, status: ['READY', 'BUSY', 'DISCONNECTED'] });
const names: string[] = robots!.nodes.map((robot) => robot.name);
const total: number = robots!.totalCount;
// @ts-expect-error: a variable of another type
void (() => request('', Robots, { first: 'two' }));
// @ts-expect-error: a field that is not selected
void robots!.nodes[0]?.description;
console.log(JSON.stringify({ names, total }));
`;

let simulated;
let gateway;
let dir;

before(async () => {
  simulated = await simulate();
  gateway = await serve(simulated);
  dir = await project('codegen', gateway);
  writeFileSync(join(dir, 'src', 'app.ts'), app);
  writeFileSync(join(dir, 'src', 'node.d.ts'), 'declare const process: { argv: string[] };\n');
  writeFileSync(join(dir, 'codegen.json'), JSON.stringify({
    schema: 'schema.graphql',
    documents: ['src/**/*.ts'],
    emitLegacyCommonJSImports: false,
    generates: {
      './src/gql/': {
        preset: 'client',
        presetConfig: { persistedDocuments: { hashAlgorithm: 'sha256' } },
        config: {
          scalars: { ID: 'string', DateTime: 'string', StringMap: 'Record<string, string>', Upload: 'File' },
          enumsAsTypes: true,
        },
      },
    },
  }));
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({
    compilerOptions: {
      target: 'es2022', module: 'nodenext', lib: ['es2022', 'dom', 'dom.iterable'], types: [], strict: true, noUncheckedIndexedAccess: true,
      skipLibCheck: true, rootDir: 'src', outDir: 'out',
    },
    include: ['src'],
  }));
}, limit);

after(async () => {
  await gateway?.stop();
  await simulated?.stop();
  if (dir) rmSync(dir, { recursive: true });
}, limit);

// run runs a program of the packages.
const run = (program, ...args) => {
  try {
    return execFileSync(process.execPath, [program, ...args], { cwd: dir, stdio: 'pipe', encoding: 'utf8' });
  } catch (error) {
    throw new Error(`${program}: ${error.stdout}${error.stderr}`);
  }
};

test('typed documents are generated, compiled and run', limit, async (t) => {
  run(join(modules, '.bin/graphql-codegen'), '--config', 'codegen.json');
  run(join(modules, '.bin/tsc'), '--project', 'tsconfig.json');
  const { names, total } = JSON.parse(run(join(dir, 'out/app.js'), gateway.url));
  assert.equal(names.length, 2);
  assert.ok(total > 2);
  await t.test('the generated manifest is one of trusted documents', async () => {
    const [id] = Object.keys(JSON.parse(readFileSync(join(dir, 'src/gql/persisted-documents.json'))));
    const strict = await serve(simulated, `--trusted-documents=${join(dir, 'src/gql/persisted-documents.json')}`, '--trusted-documents-mode=only');
    t.after(() => strict.stop());
    const response = await fetch(`${strict.url}?documentId=${encodeURIComponent(id)}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ variables: { first: 2 } }),
    });
    const { data } = await response.json();
    assert.equal(data.robots.nodes.length, 2);
  });
});
