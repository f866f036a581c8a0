// Builds GraphiQL into ../dist, which the Go package above embeds.
//
//   npm ci && npm run build   writes ../dist
//   npm run check             builds into memory and fails when ../dist holds anything else
//
// The same inputs give the same bytes on every machine: exact versions, names taken from the content, no source maps, no
// clock.
import { build } from 'esbuild';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { collectLicences, deliver, hashed } from '../../../../scripts/assets.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const dist = resolve(here, '../dist');
// Where the assets are, from the page. Among themselves they need no path: proxies serve the gateway below any.
const fromPage = 'graphiql/';

// Monaco's labels for its workers, and the worker each one runs.
const workers = {
  editor: 'monaco-editor/esm/vs/editor/editor.worker.js',
  json: 'monaco-editor/esm/vs/language/json/json.worker.js',
  graphql: 'monaco-graphql/esm/graphql.worker.js',
};

const standIn = file => ({ path: join(here, 'standin', file) });

const fonts = 'Roboto (Apache License 2.0), copyright Google; Fira Code (SIL Open Font License 1.1), copyright The Fira Code Project Authors.\n';

// GraphiQL asks for all of Monaco and for Prettier's JavaScript side; it gets the parts that its page can reach.
const onlyWhatIsNeeded = {
  name: 'only-what-is-needed',
  setup({ onResolve, resolve: resolveWith }) {
    onResolve({ filter: /(^|\/)monaco-editor(\.js)?$/ }, ({ path, resolveDir }) => {
      const ours = path === 'monaco-graphql/esm/monaco-editor.js' || (path === './monaco-editor' && resolveDir.endsWith(join('monaco-graphql', 'esm')));
      return ours ? standIn('monaco.js') : undefined;
    });
    // Monaco's API file pulls in its diff editors by name, although nothing here opens one.
    onResolve({ filter: /\/(diffEditorWidget|multiDiffEditorWidget)\.js$/ }, () => standIn('monaco-diff.js'));
    onResolve({ filter: /^prettier\// }, ({ path, importer, kind, resolveDir }) => {
      if (importer.endsWith(join('utility', 'jsonc.js'))) {
        return standIn('prettier-json.js');
      }
      // The old name of the same plug-in, which resolves to a second copy of it.
      return path === 'prettier/parser-graphql' ? resolveWith('prettier/plugins/graphql', { importer, kind, resolveDir }) : undefined;
    });
  },
};

// GraphiQL's fonts come as data: URLs in style sheets, for every script there is. Files of their own are fetched only
// when needed and let the page's Content-Security-Policy forbid data: fonts; the interface is in Latin, and everything
// else falls back to the system's fonts.
const fontFiles = {
  name: 'font-files',
  setup({ onLoad, onResolve }) {
    const fonts = new Map();
    onResolve({ filter: /^inline-font:/ }, ({ path }) => ({ path: path.slice('inline-font:'.length), namespace: 'inline-font' }));
    onLoad({ filter: /.*/, namespace: 'inline-font' }, ({ path }) => ({ contents: fonts.get(path), loader: 'file' }));
    onLoad({ filter: /[\\/]font[\\/][a-z-]+\.css$/ }, async ({ path }) => {
      const faces = (await readFile(path, 'utf8')).match(/@font-face\s*{[^}]*}/g) ?? [];
      const latin = faces.filter(face => face.includes('U+0000-00FF') && !(/font-style: italic/.test(face) && /font-weight: 500/.test(face)));
      const contents = latin.map(face => {
        const property = key => new RegExp(`${key}: ([^;]+);`).exec(face)[1];
        return face.replace(/url\(data:font\/(woff2?);base64,([^)]*)\)/, (_, type, data) => {
          const name = `${property('font-family').replaceAll(/\W+/g, '')}-${property('font-style')}-${property('font-weight')}.${type}`;
          fonts.set(name, Buffer.from(data, 'base64'));
          return `url(inline-font:${name})`;
        });
      });
      return { contents: contents.join('\n'), loader: 'css' };
    });
  },
};

async function bundle() {
  const result = await build({
    absWorkingDir: here,
    entryPoints: { main: 'main.jsx', icon: 'icon.svg', ...Object.fromEntries(Object.entries(workers).map(([label, path]) => [`${label}.worker`, path])) },
    outdir: dist,
    bundle: true,
    splitting: true,
    minify: true,
    sourcemap: false,
    metafile: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: ['chrome111', 'firefox114', 'safari16.4'],
    jsx: 'automatic',
    charset: 'utf8',
    legalComments: 'none',
    define: { 'process.env.NODE_ENV': '"production"' },
    entryNames: '[name]-[hash]',
    chunkNames: 'chunk-[hash]',
    assetNames: '[name]-[hash]',
    loader: { '.ttf': 'file', '.woff': 'file', '.woff2': 'file', '.svg': 'copy' },
    plugins: [onlyWhatIsNeeded, fontFiles],
    logLevel: 'warning',
  });

  const files = new Map(result.outputFiles.map(({ path, contents }) => [basename(path), Buffer.from(contents)]));
  const outputs = Object.entries(result.metafile.outputs);
  const entry = source => basename(outputs.find(([, { entryPoint }]) => entryPoint?.endsWith(source))[0]);
  const style = basename(outputs.find(([, { entryPoint }]) => entryPoint === 'main.jsx')[1].cssBundle);
  // Styles of dynamically imported chunks: main's sheet has them all, and nothing loads these.
  for (const name of files.keys()) {
    if (name.endsWith('.css') && name !== style) {
      files.delete(name);
    }
  }

  const licences = await collectLicences(here, Object.keys(result.metafile.inputs), fonts);
  files.set(hashed('licenses.txt', licences), licences);
  files.set('index.html', await page({
    script: fromPage + entry('main.jsx'),
    style: fromPage + style,
    licences: fromPage + hashed('licenses.txt', licences),
    icon: fromPage + entry('icon.svg'),
    workers: JSON.stringify(Object.fromEntries(Object.entries(workers).map(([label, path]) => [label, fromPage + entry(path)]))),
  }));
  return files;
}

async function page(values) {
  const template = await readFile(join(here, 'index.html'), 'utf8');
  return Buffer.from(template.replaceAll(/{{(\w+)}}/g, (_, key) => values[key]));
}

await deliver(await bundle(), dist);
