// Starts a simulated console and gateways in front of it, each a process of the built program.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const binary = process.env.CONSOLEQL_BINARY ?? new URL('../../bin/consoleql', import.meta.url).pathname;

// start runs a command of the program. It resolves with what found returns for one of its lines.
function start(args, found) {
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env.PATH } });
  const stop = () =>
    new Promise((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) return resolve();
      child.once('exit', resolve);
      child.kill('SIGTERM');
    });
  return new Promise((resolve, reject) => {
    const said = [];
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        said.push(line);
        const value = found(line, said);
        if (value) resolve({ value, stop });
      });
    }
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${args[0]} ended with ${code}:\n${said.join('\n')}`)));
  });
}

// console simulates a console.
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

// gateway serves the graph in front of a console for callers without credentials.
export async function serve(console, ...flags) {
  const { value, stop } = await start(
    [
      'serve', '--listen=127.0.0.1:0', '--admin-listen=', '--log-format=json', '--anonymous',
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
  return { url: `${value}/graphql`, stop };
}
