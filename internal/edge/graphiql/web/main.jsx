import './workers.js';
// GraphiQL asks for the editor when it is shown; asking here as well keeps it and its styles in this one bundle.
import 'monaco-graphql/esm/monaco-editor.js';

import '@graphiql/react/font/roboto.css';
import '@graphiql/react/font/fira-code.css';
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import 'graphiql/graphiql.css';
import './page.css';

import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { createRoot } from 'react-dom/client';
import { examplesPlugin } from './examples.jsx';
import { identity, requestOf, signInWithoutPassword } from './identity.js';
import { Explain, Headers, identityPlugin, SignInDialog } from './identity.jsx';
import { openingTabs, readExamples, withoutHeaders } from './session.js';
import { wordedResults } from './socket.js';

// A browser that forbids local storage throws on the mere mention of it.
function localStorageIfAllowed() {
  try {
    return globalThis.localStorage;
  } catch {
    return undefined;
  }
}

function webSocketURL(endpoint) {
  const url = new URL(endpoint, location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}

const options = JSON.parse(document.getElementById('options').textContent);
const endpoint = options.endpoint || 'graphql';
const headers = options.headers || '';
const examples = readExamples(options);
const storage = localStorageIfAllowed();
const tabs = openingTabs({ examples, headers, search: location.search, storage });

const ask = createGraphiQLFetcher({
  url: endpoint,
  // The socket is opened by the first subscription, with the headers editor's content as its connection_init payload.
  subscriptionUrl: webSocketURL(endpoint),
  enableIncrementalDelivery: false,
});

// SignInDialog sets it.
let askForPassword;
const registerDialog = ask => (askForPassword = ask);

async function fetcher(operation, options) {
  const signIn = signInWithoutPassword(operation);
  if (signIn) {
    const given = await askForPassword(signIn);
    if (!given) {
      throw new Error('Not signed in: the dialog was left.');
    }
    operation = { ...operation, variables: { ...signIn, ...given } };
  }
  const answered = await ask(operation, options);
  if (answered[Symbol.asyncIterator]) {
    return wordedResults(answered);
  }
  identity.received(answered);
  return answered;
}

// The page's own requests, with the texts of the editors.
async function request(asked) {
  try {
    const response = await fetch(endpoint, requestOf(asked));
    return await response.json();
  } catch (error) {
    return { errors: [{ message: String(error) }] };
  }
}

const session = identityPlugin(request);
const plugins = [HISTORY_PLUGIN, session];
// A first visit that begins with a sign-in sees what follows it.
const signInFirst = /\bsignIn\b/.test(tabs.initialQuery ?? '');
if (examples.length > 0) {
  plugins.push(examplesPlugin(examples));
}

createRoot(document.getElementById('root')).render(
  <>
    {options.notice ? (
      <div className="page-notice" role="note">
        {options.notice}
      </div>
    ) : null}
    <GraphiQL
      fetcher={fetcher}
      schemaDescription
      plugins={plugins}
      visiblePlugin={signInFirst ? session : undefined}
      shouldPersistHeaders={false}
      showPersistHeadersSettings={false}
      storage={storage ? withoutHeaders(storage) : null}
      defaultHeaders={headers}
      defaultEditorToolsVisibility={tabs.initialVariables ? 'variables' : headers ? 'headers' : undefined}
      {...tabs}
    >
      <GraphiQL.Logo>
        <span className="page-name">ConsoleQL</span>
      </GraphiQL.Logo>
      <GraphiQL.Toolbar>
        {({ prettify, merge, copy }) => (
          <>
            {prettify}
            {merge}
            {copy}
            <Explain ask={request} />
            <Headers />
          </>
        )}
      </GraphiQL.Toolbar>
    </GraphiQL>
    <SignInDialog register={registerDialog} />
  </>,
);
