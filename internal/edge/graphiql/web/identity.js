import { parse } from 'jsonc-parser';

// The session and the scope of this page. They are kept in memory: a reload forgets them.

/** The names of the headers that the page sets. */
export const headerNames = ['Authorization', 'CompanyId', 'DepartmentId'];

let state = { token: '', headers: {} };
const listeners = new Set();

function change(next) {
  state = { ...state, ...next };
  listeners.forEach(changed => changed());
}

export const identity = {
  get: () => state,
  subscribe(changed) {
    listeners.add(changed);
    return () => listeners.delete(changed);
  },
  /** Remembers the token of an answer to signIn, until it is put into the headers. */
  received(result) {
    for (const field of Object.values(result?.data ?? {})) {
      if (typeof field?.sessionToken === 'string') {
        change({ token: field.sessionToken });
      }
    }
  },
  /** Sets headers in the editor of each tab; undefined removes one. */
  set(headers) {
    change({ headers: { ...state.headers, ...headers } });
  },
};

/** The object that an editor's text denotes; undefined if it denotes none. */
export function objectOf(text) {
  const errors = [];
  const value = text.trim() === '' ? {} : parse(text, errors, { allowTrailingComma: true, allowEmptyContent: true });
  return errors.length > 0 || typeof value !== 'object' || value === null || Array.isArray(value) ? undefined : value;
}

/** The body and the headers of a request, of the texts of the editors. It throws if a text is no object. */
export function requestOf({ query, variables = '', operationName, headers = '', own = {} }) {
  const given = { variables: objectOf(variables), headers: objectOf(headers) };
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) {
      throw new Error(`The ${name} are no valid JSON object.`);
    }
  }
  return {
    method: 'POST',
    headers: { ...given.headers, ...own, 'Content-Type': 'application/json' },
    body: JSON.stringify({ query, operationName, variables: given.variables }),
  };
}

/** The headers editor's text with the given headers set, or removed if undefined. A text that is no object stays. */
export function mergeHeaders(text, headers) {
  const present = objectOf(text);
  if (present === undefined) {
    return text;
  }
  const merged = Object.fromEntries(Object.entries(present).filter(([name]) => !Object.keys(headers).some(own => own.toLowerCase() === name.toLowerCase())));
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) {
      merged[name] = value;
    }
  }
  return Object.keys(merged).length > 0 ? JSON.stringify(merged, null, 2) : '';
}

/** The variables of a sign-in without its password, which the page asks for, so that no browser stores it; else undefined. */
export function signInWithoutPassword({ query, variables }) {
  return /\bsignIn\b/.test(query) && variables?.password === '' ? variables : undefined;
}
