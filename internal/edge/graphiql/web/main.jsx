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
import { openingTabs, readExamples } from './session.js';
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

async function fetcher(operation, options) {
  const answered = await ask(operation, options);
  return answered[Symbol.asyncIterator] ? wordedResults(answered) : answered;
}

const plugins = [HISTORY_PLUGIN];
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
      storage={storage ? undefined : null}
      defaultHeaders={headers}
      defaultEditorToolsVisibility={tabs.initialVariables ? 'variables' : headers ? 'headers' : undefined}
      {...tabs}
    >
      <GraphiQL.Logo>
        <span className="page-name">ConsoleQL</span>
      </GraphiQL.Logo>
    </GraphiQL>
  </>,
);
