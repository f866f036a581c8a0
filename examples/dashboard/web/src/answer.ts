import { useCallback, useEffect, useState } from 'react';
import { useQuery, type AnyVariables, type CombinedError, type TypedDocumentNode } from 'urql';

const everyMinute = 60_000;
const soon = 5_000;

/** The answer to the one query of a screen. */
export interface Answer<Data> {
  /** The latest answer that has what the screen is about. */
  data?: Data;
  /** When `data` was read. */
  at: number;
  /** The errors beside `data`, and whether it is old. */
  error?: CombinedError;
  extensions?: Record<string, unknown>;
  /** The latest answer has nothing to show, and this is why. */
  failure?: CombinedError;
  fetching: boolean;
  refresh: () => void;
}

/** Asks when the screen opens, every minute, sooner after a failure, and on request. An answer without has(data) fails. */
export function useAnswer<Data, Variables extends AnyVariables>(
  query: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  has: (data: Data) => boolean,
  hurry: boolean,
): Answer<Data> {
  const [{ data, error, fetching, extensions }, execute] = useQuery({ query, variables });
  const [kept, setKept] = useState<Pick<Answer<Data>, 'data' | 'at' | 'error' | 'extensions'>>({ at: 0 });
  const refresh = useCallback(() => execute({ requestPolicy: 'network-only' }), [execute]);
  const failure = !fetching && error && !(data && has(data)) ? error : undefined;

  // A new answer replaces the current one, unless it failed.
  if (!fetching && data && !failure && kept.data !== data) {
    setKept({ data, error, extensions, at: Date.now() });
  }
  useEffect(() => {
    if (fetching) {
      return;
    }
    const timer = setTimeout(refresh, hurry || failure || extensions?.stale ? soon : everyMinute);
    return () => clearTimeout(timer);
  }, [fetching, hurry, failure, extensions, refresh]);
  return { ...kept, failure, fetching, refresh };
}
