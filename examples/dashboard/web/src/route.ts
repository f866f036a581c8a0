import { useSyncExternalStore } from 'react';

/** Where the user is: the fragment of the address, so that a static file server is enough. */
export type Route =
  | { screen: 'overview'; company?: string }
  | { screen: 'department'; company: string; department: string }
  | { screen: 'workflow'; company: string; department: string; workflow: string };

export function parse(hash: string): Route {
  const [company, department, workflow] = hash.replace(/^#\/?/, '').split('/').filter(Boolean);
  if (company && department && workflow) {
    return { screen: 'workflow', company, department, workflow };
  }
  if (company && department) {
    return { screen: 'department', company, department };
  }
  return { screen: 'overview', company };
}

export const link = (...ids: string[]) => `#/${ids.join('/')}`;

function subscribe(changed: () => void) {
  addEventListener('hashchange', changed);
  return () => removeEventListener('hashchange', changed);
}

export function useRoute(): Route {
  return parse(useSyncExternalStore(subscribe, () => location.hash));
}
