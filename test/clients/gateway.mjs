// Starts a simulated console and gateways in front of it, each a process of the built program.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const binary = process.env.CONSOLEQL_BINARY ?? new URL('../../bin/consoleql', import.meta.url).pathname;

// grace is how long a program may take to stop before it is killed.
const grace = 20_000;

// No program outlives this process, however it ends.
const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => process.exit(128 + constants.signals[signal]));
}

// start runs a command of the program. It resolves with what found returns for one of its lines.
function start(args, found) {
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env.PATH } });
  running.add(child);
  const said = [];
  const ended = new Promise((resolve) => {
    child.once('close', (code, signal) => {
      running.delete(child);
      resolve(`${binary} ${args[0]} ended with ${signal ?? code}:\n${said.slice(-20).join('\n')}`);
    });
  });
  // stop fails where the program has ended before it was told to, or does not end in good order.
  const stop = async () => {
    const early = !running.has(child);
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), grace);
    const how = await ended;
    clearTimeout(late);
    if (early || child.exitCode !== 0) throw new Error(how);
  };
  return new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        said.push(line);
        const value = found(line, said);
        if (!value) return;
        for (const handle of [child, child.stdout, child.stderr]) handle.unref(); // a test that fails leaves it running
        resolve({ value, stop });
      });
    }
    child.once('error', reject);
    ended.then((how) => reject(new Error(how)));
  });
}

// simulate runs a simulated console.
export async function simulate() {
  const { value, stop } = await start(
    ['simulate', '--api-listen=127.0.0.1:0', '--sso-listen=127.0.0.1:0', '--storage-listen=127.0.0.1:0'],
    (line, said) => {
      const account = /^user (\S+), password (\S+), CompanyId (\S+), DepartmentId (\S+)$/.exec(line);
      if (!account) return undefined;
      const address = (what) => said.find((l) => l.endsWith(`is the ${what}`)).split(' ')[0];
      const [, username, password, company, department] = account;
      return { api: address('API gateway'), sso: address('SSO'), username, password, company, department };
    },
  );
  return { ...value, stop };
}

// serve runs a gateway in front of a console, for callers without credentials.
export const serve = (console, ...flags) => serveWithCredentials(console, '--anonymous', ...flags);

// serveWithCredentials runs a gateway in front of a console, for callers with credentials.
export async function serveWithCredentials(console, ...flags) {
  const { value, stop } = await start(
    [
      'serve', '--listen=127.0.0.1:0', '--admin-listen=', '--log-format=json',
      `--console-url=${console.api}`, `--sso-url=${console.sso}`,
      `--username=${console.username}`, `--password=${console.password}`,
      `--company-id=${console.company}`, `--department-id=${console.department}`, ...flags,
    ],
    (line) => {
      try {
        const entry = JSON.parse(line);
        return entry.msg === 'listening' ? entry.url : undefined;
      } catch {
        return undefined;
      }
    },
  );
  return { url: `${value}/graphql`, origin: value, stop };
}

// project makes a folder for the sources of an app, with the modules of this package and the schema of a gateway.
export async function project(name, gateway) {
  const dir = mkdtempSync(join(tmpdir(), `consoleql-${name}-`));
  mkdirSync(join(dir, 'src'));
  symlinkSync(fileURLToPath(new URL('node_modules', import.meta.url)), join(dir, 'node_modules'));
  writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
  writeFileSync(join(dir, 'schema.graphql'), await (await fetch(new URL('/schema.graphql', gateway.url))).text());
  return dir;
}
