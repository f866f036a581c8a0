import type { CombinedError } from '@urql/core';
import type { ReactNode } from 'react';
import type { Answer } from './answer';
import { clock } from './format';

/** What an answer says of itself beside its data. */
type Answered = Pick<Answer<unknown>, 'error' | 'extensions' | 'failure' | 'at'>;

interface GraphError {
  message: string;
  code: string;
  path: string;
}

/** The errors beside an answer's data, without those that a screen shows at their place. */
export function errorsOf(error: CombinedError | undefined): GraphError[] {
  return (error?.graphQLErrors ?? []).map(({ message, path, extensions }) => ({
    message,
    code: String(extensions?.code ?? 'INTERNAL'),
    path: (path ?? []).join('.'),
  }));
}

export const signedOut = (error: CombinedError | undefined) => errorsOf(error).some(({ code }) => code === 'UNAUTHENTICATED');

/** Groups errors that say the same of several places. */
function alike(errors: GraphError[]): GraphError[][] {
  const groups = new Map<string, GraphError[]>();
  for (const error of errors) {
    const same = `${error.code} ${error.message}`;
    groups.set(same, [...(groups.get(same) ?? []), error]);
  }
  return [...groups.values()];
}

const reasons: Record<string, string> = {
  ERROR: 'The console does not answer',
  SLOW: 'The console is slow',
  PAUSED: 'The console asked for a pause',
};

/** Says that an answer is old, that parts of it are missing, or that it could not be read again. */
export function Notices({ error, extensions, failure, at, shown = [] }: Answered & { shown?: string[] }) {
  const stale = extensions?.stale as { age?: number; reason?: string } | undefined;
  const missing = errorsOf(error).filter(({ code }) => !shown.includes(code));
  return (
    <>
      {failure ? (
        <p className="notice failed" role="alert">
          <strong>Not read again.</strong> {errorsOf(failure)[0]?.message ?? 'The gateway does not answer'}; these figures are of {clock(at)}.
        </p>
      ) : null}
      {stale ? (
        <p className="notice stale" role="status">
          <strong>Stale data.</strong> {reasons[stale.reason ?? ''] ?? reasons.ERROR}; these figures are {Math.round(stale.age ?? 0)} seconds old.
        </p>
      ) : null}
      {missing.length > 0 ? (
        <details className="notice partial" role="status">
          <summary>
            <strong>Incomplete.</strong> {missing.length === 1 ? 'One part' : `${missing.length} parts`} could not be read.
          </summary>
          <ul>
            {alike(missing).slice(0, 8).map(([first, ...others]) => (
              <li key={first!.path}>
                <code>{first!.code}</code> {first!.message} <small>{first!.path}{others.length > 0 ? ` and ${others.length} more` : ''}</small>
              </li>
            ))}
          </ul>
        </details>
      ) : null}
    </>
  );
}

/** The place of a screen whose data cannot be read. */
export function Failed({ error, retry }: { error: CombinedError; retry: () => void }) {
  const [first] = errorsOf(error);
  return (
    <section className="card centred" role="alert">
      <h2>{first ? 'The console could not be read' : 'The gateway does not answer'}</h2>
      <p>{first ? first.message : error.networkError?.message ?? error.message}</p>
      {first ? <p><code>{first.code}</code></p> : null}
      <button type="button" className="primary" onClick={retry}>
        Try again
      </button>
    </section>
  );
}

export function Loading() {
  return (
    <div role="status" aria-busy="true" className="skeleton">
      <span className="visually-hidden">Loading</span>
      <div className="tiles" aria-hidden="true">
        {[0, 1, 2, 3].map(i => (
          <div key={i} className="card bone" />
        ))}
      </div>
      <div className="card bone tall" aria-hidden="true" />
    </div>
  );
}

export function Missing({ what }: { what: string }) {
  return (
    <section className="card centred">
      <h2>This {what} does not exist</h2>
      <p>It was deleted, or you may not see it.</p>
      <a className="button" href="#/">
        To the overview
      </a>
    </section>
  );
}

export const Empty = ({ children }: { children: ReactNode }) => <p className="empty">{children}</p>;

/** Whether events arrive, and how old the last answer is. */
export function Freshness({ live, at, busy, refresh }: { live: LiveState; at: number; busy: boolean; refresh: () => void }) {
  return (
    <div className="freshness">
      <span className={`live ${live}`} role="status">
        <i aria-hidden="true" />
        {liveWords[live]}
      </span>
      <span className="muted at">{at ? `Read at ${clock(at)}` : ''}</span>
      <button type="button" onClick={refresh} disabled={busy}>
        {busy ? 'Reading…' : 'Refresh'}
      </button>
    </div>
  );
}

export type LiveState = 'connecting' | 'live' | 'interrupted';

const liveWords: Record<LiveState, string> = { connecting: 'Connecting', live: 'Live', interrupted: 'Interrupted' };
