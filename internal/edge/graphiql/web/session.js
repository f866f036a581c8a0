// Which tabs the page opens with. GraphiQL keeps the tabs of earlier visits in local storage under this key; its own
// defaults only count when there are none.
const STORED_TABS = 'graphiql:tabState';

// GraphiQL names a tab after its operation, whatever we call it, so that an example's title becomes a comment.
function titled({ title, query }) {
  if (!title || query.trimStart().startsWith('#')) {
    return query;
  }
  return `# ${title.replace(/\s+/g, ' ')}\n${query}`;
}

/** Examples as the page shows them: title, query (with its title as a comment) and variables. */
export function readExamples(options) {
  return (options.examples ?? []).map(example => ({
    title: example.title,
    query: titled(example),
    variables: example.variables ?? '',
  }));
}

/**
 * The props of GraphiQL that decide its tabs: the query of the address (`?query=`, `?variables=`) first when there is
 * one, then the tabs of the last visit, or the examples on a first one.
 */
export function openingTabs({ examples, headers, search, storage }) {
  const address = new URLSearchParams(search);
  const asked = address.get('query');
  const defaultTabs = examples.map(({ query, variables }) => ({ query, variables, headers }));
  const returning = Boolean(storage?.getItem(STORED_TABS));

  if (asked) {
    const variables = address.get('variables') ?? '';
    // Said outright: without them GraphiQL would fill in the last tab's variables.
    return {
      initialQuery: asked,
      initialVariables: variables,
      defaultTabs: [{ query: asked, variables, headers }, ...defaultTabs],
    };
  }
  if (returning || defaultTabs.length === 0) {
    return defaultTabs.length === 0 ? {} : { defaultTabs };
  }
  // GraphiQL shows the first default tab's query by itself, but not its variables.
  return { initialQuery: defaultTabs[0].query, initialVariables: defaultTabs[0].variables, defaultTabs };
}

/** Local storage for GraphiQL, without headers: its history would store those of each operation, credentials included. */
export function withoutHeaders(storage) {
  const own = () => Object.keys(storage).filter(key => key.startsWith('graphiql:'));
  return {
    getItem: key => storage.getItem(key),
    setItem: (key, value) => storage.setItem(key, /"headers"/.test(value) ? stripped(value) : value),
    removeItem: key => storage.removeItem(key),
    get length() {
      return own().length;
    },
    clear: () => own().forEach(key => storage.removeItem(key)),
  };
}

function stripped(text) {
  try {
    return JSON.stringify(JSON.parse(text, (key, value) => (key === 'headers' ? null : value)));
  } catch {
    return text; // an operation that mentions headers
  }
}
