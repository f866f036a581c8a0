import { Client, fetchExchange, type TypedDocumentNode } from '@urql/core';
import { useSyncExternalStore } from 'react';
import type { TypedDocumentString } from './gql/graphql';

/** The token of the session. It stays in memory: a reload of the page ends the session. */
let token = '';
const listeners = new Set<() => void>();

export function setToken(value: string) {
  token = value;
  listeners.forEach(changed => changed());
}

/** Whether a session runs. */
export function useSession(): boolean {
  return useSyncExternalStore(subscribe, () => token !== '');
}

function subscribe(changed: () => void) {
  listeners.add(changed);
  return () => listeners.delete(changed);
}

const headers = (): Record<string, string> => (token ? { authorization: `Bearer ${token}` } : {});

/**
 * The gateway stands beside the dashboard, below whatever path a proxy gives to both. There is no cache here: the
 * gateway caches, and its answers say how old they are.
 */
export const client = new Client({
  url: new URL('../graphql', location.href).href,
  preferGetMethod: false,
  fetchSubscriptions: true,
  fetchOptions: () => ({ headers: headers() }),
  exchanges: [fetchExchange],
});

/** Gives urql the text of a document, with its types. */
export function operation<Result, Variables>(document: TypedDocumentString<Result, Variables>) {
  return document.toString() as unknown as TypedDocumentNode<Result, Variables & Record<string, unknown>>;
}

/** The headers of a department, for operations that run in the scope of the request. */
export function scope(company: string, department: string) {
  return { ...headers(), CompanyId: company, DepartmentId: department };
}

/** A key for an execution. `crypto.randomUUID` is missing where the page came by plain HTTP from another machine. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map(byte => byte.toString(16).padStart(2, '0')).join('');
}
