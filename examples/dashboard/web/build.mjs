// Builds the dashboard into ../dist, which the Go package above embeds.
//
//   npm ci && npm run build   writes ../dist
//   npm run check             builds into memory and fails when ../dist has anything else
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { collectLicences, deliver, hashed } from '../../../scripts/assets.mjs';

const here = dirname(fileURLToPath(import.meta.url));

const { output } = await build({ root: here, logLevel: 'warn', build: { write: false } });
const files = new Map(output.map(file => [file.fileName, Buffer.from(file.type === 'chunk' ? file.code : file.source)]));

const inputs = output.flatMap(file => (file.type === 'chunk' ? file.moduleIds : [])).map(id => relative(here, id.replace(/^\0/, '')));
const licences = await collectLicences(here, inputs);
const name = hashed('licenses.txt', licences);
files.set(name, licences);
const page = files.get('index.html').toString();
files.set('index.html', Buffer.from(page.replace('</title>', `</title>\n    <link rel="license" type="text/plain" href="./${name}" />`)));

await deliver(files, resolve(here, '../dist'));
