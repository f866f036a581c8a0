// Writes the built files of a page into the folder that a Go package embeds, or checks that they are there.
//
// The same files give the same bytes on every machine. What compresses is stored as .gz only. Node versions differ in
// their zlib, so that the check, and the decision whether a file has to be written again, compare what is inside.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, extname, join, relative } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';

// Already compressed, so that .gz would only add to them.
const storedAsIs = new Set(['.woff', '.woff2']);
const isStoredAsIs = name => name === 'index.html' || storedAsIs.has(extname(name));

/** A name that tells the content. */
export function hashed(name, contents) {
  const digest = createHash('sha256').update(contents).digest('hex').slice(0, 10);
  return `${basename(name, extname(name))}-${digest}${extname(name)}`;
}

/** One text with the licence of every package of which a bundle has a part, by the paths of its sources below root. */
export async function collectLicences(root, inputs, ...more) {
  const folders = new Set();
  for (const input of inputs) {
    const found = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (found) {
      folders.add(found[1]);
    }
  }
  const sections = [];
  for (const folder of [...folders].sort()) {
    const { name, version, license } = JSON.parse(await readFile(join(root, folder, 'package.json'), 'utf8'));
    const file = (await readdir(join(root, folder))).sort().find(entry => /^licen[cs]e(\.(md|txt))?$/i.test(entry));
    const text = file ? await readFile(join(root, folder, file), 'utf8') : `Licensed under ${license}.`;
    sections.push(`${name} ${version} (${license})\n\n${text.replaceAll('\r\n', '\n').trim()}\n`);
  }
  return Buffer.from([...sections, ...more].join(`\n${'-'.repeat(80)}\n\n`));
}

function compressed(contents) {
  const archive = gzipSync(contents, { level: 9 });
  archive[9] = 255; // the header's operating system: unknown, whoever builds
  return archive;
}

async function read(folder) {
  const found = new Map();
  for (const name of await readdir(folder).catch(() => [])) {
    const contents = await readFile(join(folder, name));
    found.set(name, name.endsWith('.gz') ? gunzipSync(contents) : contents);
  }
  return found;
}

/** Writes files, a map of names to contents, into the folder. With --check, ends with 1 if the folder has anything else. */
export async function deliver(files, folder) {
  const wanted = new Map([...files].map(([name, contents]) => [isStoredAsIs(name) ? name : `${name}.gz`, contents]));
  const present = await read(folder);
  const changed = [...wanted].filter(([name, contents]) => !present.get(name)?.equals(contents)).map(([name]) => name);
  const stale = [...present.keys()].filter(name => !wanted.has(name));
  const where = relative(process.cwd(), folder);

  if (process.argv.includes('--check')) {
    if (changed.length > 0 || stale.length > 0) {
      console.error(`The files of ${where} are not what the sources give. Missing or different: ${changed.join(', ') || 'none'}; left over: ${stale.join(', ') || 'none'}.`);
      console.error('Run: npm ci && npm run build');
      process.exit(1);
    }
    console.log(`The files of ${where} are fresh (${wanted.size} files).`);
    return;
  }
  await mkdir(folder, { recursive: true });
  await Promise.all(stale.map(name => rm(join(folder, name))));
  let bytes = 0;
  for (const [name, contents] of wanted) {
    const stored = isStoredAsIs(name) ? contents : compressed(contents);
    bytes += stored.length;
    if (changed.includes(name)) {
      await writeFile(join(folder, name), stored);
    }
  }
  console.log(`${where}: ${wanted.size} files, ${(bytes / 1024).toFixed(0)} KiB; ${changed.length} written, ${stale.length} removed.`);
}
