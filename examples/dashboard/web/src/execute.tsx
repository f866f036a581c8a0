import { useState } from 'react';
import { useMutation, type CombinedError } from 'urql';
import { newKey, operation, scope } from './client';
import { graphql } from './gql';
import type { ExecuteMutation } from './gql/graphql';
import { ago } from './format';
import { errorsOf } from './states';

const execute = operation(
  graphql(`
    mutation Execute($input: ExecuteWorkflowInput!) {
      executeWorkflow(input: $input) {
        jobs {
          id
          name
          state
          createdAt
        }
      }
    }
  `),
);

type Outcome = 'NOT_SENT' | 'REFUSED' | 'DONE' | 'UNKNOWN';

const words: Record<Outcome, { title: string; text: string }> = {
  NOT_SENT: { title: 'Nothing was started', text: 'The console was not asked.' },
  REFUSED: { title: 'The console refused', text: 'Nothing was started.' },
  DONE: { title: 'Started', text: 'The console has started it, but what it answered could not be read.' },
  UNKNOWN: {
    title: 'It is not known whether it was started',
    text: 'The answer of the console was lost. Ask again with the same key: the gateway starts nothing twice.',
  },
};

/**
 * The outcome of a failed execution. Without a word of the gateway it is unknown: the request may have arrived, and
 * only its answer may be lost.
 */
export function outcomeOf(error: CombinedError): Outcome {
  const outcome = error.graphQLErrors[0]?.extensions?.outcome as Outcome | undefined;
  return outcome && outcome in words ? outcome : error.networkError ? 'UNKNOWN' : 'NOT_SENT';
}

/** The key is known, and its outcome is not: asking again tells nothing more. */
const isConflict = (error: CombinedError) => errorsOf(error)[0]?.code === 'CONFLICT';

interface Props {
  company: string;
  department: string;
  workflow: { id: string; name: string };
  done: () => void;
}

/** Starts a workflow. One press of the button is one key, which is sent again for as long as its outcome is unknown. */
export function Execute({ company, department, workflow, done }: Props) {
  const [{ fetching, data, error }, send] = useMutation(execute);
  const [key, setKey] = useState('');
  const [answered, setAnswered] = useState(false);

  const start = async (key: string) => {
    setKey(key);
    setAnswered(false);
    const { data } = await send({ input: { id: workflow.id, idempotencyKey: key } }, { fetchOptions: { headers: scope(company, department) } });
    setAnswered(true);
    if (data?.executeWorkflow) {
      done();
    }
  };
  const outcome = answered && error ? outcomeOf(error) : undefined;
  const forgotten = outcome === 'UNKNOWN' && isConflict(error!);

  return (
    <section className="card execute" aria-labelledby="execute" aria-busy={fetching}>
      <h2 id="execute">Run it now</h2>
      <div className="actions">
        {outcome === 'UNKNOWN' && !forgotten ? (
          <button type="button" className="primary" disabled={fetching} onClick={() => start(key)}>
            Ask again with the same key
          </button>
        ) : forgotten ? (
          <button type="button" disabled={fetching} onClick={() => start(newKey())}>
            Execute with a new key
          </button>
        ) : (
          <button type="button" className="primary" disabled={fetching} onClick={() => start(newKey())}>
            {fetching ? 'Executing…' : 'Execute'}
          </button>
        )}
        {key ? (
          <span className="muted key">
            key <code>{key.slice(0, 12)}</code>
          </span>
        ) : null}
      </div>
      <div role="status" data-outcome={outcome ?? (answered && data?.executeWorkflow ? 'STARTED' : '')}>
        {outcome ? <FailedRun outcome={outcome} error={error!} /> : null}
        {answered && !error && data?.executeWorkflow ? <Started run={data.executeWorkflow} /> : null}
      </div>
    </section>
  );
}

function FailedRun({ outcome, error }: { outcome: Outcome; error: CombinedError }) {
  const [first] = errorsOf(error);
  const { retryAfter } = (error.graphQLErrors[0]?.extensions ?? {}) as { retryAfter?: number };
  return (
    <div className={`outcome ${outcome}`}>
      <strong>{words[outcome].title}</strong>
      <p>{outcome === 'UNKNOWN' && isConflict(error) ? 'The gateway does not know it either. Look at the jobs in the console before you execute it again.' : words[outcome].text}</p>
      <p className="muted">
        <code>{first?.code ?? 'NETWORK'}</code> {first?.message ?? 'The gateway does not answer.'}
        {retryAfter ? ` Try again in ${retryAfter} seconds.` : ''}
      </p>
    </div>
  );
}

function Started({ run: { jobs } }: { run: NonNullable<ExecuteMutation['executeWorkflow']> }) {
  return (
    <div className="outcome STARTED">
      <strong>{jobs.length === 0 ? 'Started' : jobs.length === 1 ? '1 job was started' : `${jobs.length} jobs were started`}</strong>
      {jobs.length === 0 ? <p>The console did not say which jobs.</p> : null}
      <ul>
        {jobs.map(job => (
          <li key={job.id}>
            {job.name} <span className="chip">{job.state.toLowerCase()}</span> <small className="muted">{ago(job.createdAt)}</small>
          </li>
        ))}
      </ul>
    </div>
  );
}
