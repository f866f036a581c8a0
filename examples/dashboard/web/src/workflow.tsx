import { useEffect } from 'react';
import { useAnswer } from './answer';
import { operation } from './client';
import { Execute } from './execute';
import { ago, count } from './format';
import { graphql } from './gql';
import { useLive } from './live';
import { link } from './route';
import { SignIn } from './session';
import { Empty, Failed, Freshness, Loading, Missing, Notices, signedOut } from './states';
import { label } from './status';

const query = operation(
  graphql(`
    query Workflow($company: ID!, $department: ID!, $workflow: ID!) {
      company(id: $company) {
        id
        name
        department(id: $department) {
          id
          name
          workflow(id: $workflow) {
            id
            name
            description
            packageName
            packageVersion
            latestVersion
            outdated
            priority
            maxRetryCount
            lastTriggeredAt
            triggeredCount
            tags
            queue {
              id
              name
            }
            robots {
              id
              name
              status
              lastHeartbeatTime
            }
            layouts {
              id
              name
            }
          }
        }
      }
    }
  `),
);

export function Workflow({ company, department, workflow }: { company: string; department: string; workflow: string }) {
  const live = useLive(company, department);
  const answer = useAnswer(query, { company, department, workflow }, ({ company }) => Boolean(company?.department?.workflow), live.state === 'interrupted');
  const { data, failure, fetching, at, refresh } = answer;
  const found = data?.company?.department?.workflow;
  useEffect(() => {
    document.title = `${found?.name ?? 'Workflow'} · ConsoleQL`;
  }, [found?.name]);

  if (signedOut(failure)) {
    return <SignIn done={refresh} />;
  }
  if (!found) {
    return failure ? <Failed error={failure} retry={refresh} /> : data ? <Missing what="workflow" /> : <Loading />;
  }
  return (
    <>
      <nav className="crumbs" aria-label="Breadcrumb">
        <a href={link(company)}>{data?.company?.name}</a>
        <a href={link(company, department)}>{data?.company?.department?.name}</a>
      </nav>
      <div className="heading">
        <div>
          <h1 tabIndex={-1}>{found.name}</h1>
          <p className="muted">{found.description}</p>
        </div>
        <Freshness live={live.state} at={at} busy={fetching} refresh={refresh} />
      </div>
      <Notices {...answer} />

      <div className="columns even">
        <section className="card" aria-labelledby="facts">
          <h2 id="facts">Deployment</h2>
          <dl className="facts">
            <dt>Package</dt>
            <dd>{found.packageName ?? '–'}</dd>
            <dt>Version</dt>
            <dd>
              {found.packageVersion ?? '–'} {found.outdated ? <span className="chip warn">latest is {found.latestVersion}</span> : found.outdated === false ? <span className="chip good">latest</span> : null}
            </dd>
            <dt>Queue</dt>
            <dd>{found.queue?.name ?? 'none'}</dd>
            <dt>Priority</dt>
            <dd>{count(found.priority)}</dd>
            <dt>Retries</dt>
            <dd>{count(found.maxRetryCount)}</dd>
            <dt>Last run</dt>
            <dd>{found.lastTriggeredAt ? ago(found.lastTriggeredAt) : 'never'}</dd>
            <dt>Runs so far</dt>
            <dd>{count(found.triggeredCount)}</dd>
            <dt>Layouts</dt>
            <dd>{found.layouts ? found.layouts.map(({ name }) => name).join(', ') || 'in none' : 'could not be read'}</dd>
          </dl>
        </section>
        <div className="stack">
          <Execute key={found.id} company={company} department={department} workflow={found} done={refresh} />
          <section className="card" aria-labelledby="robots">
            <h2 id="robots">Robots {found.robots ? <small>{count(found.robots.length)}</small> : null}</h2>
            {found.robots ? null : <Empty>The robots could not be read.</Empty>}
            {found.robots?.length === 0 ? <Empty>No robot is bound to this workflow; its queue's robots run it.</Empty> : null}
            <ul className="robots">
              {found.robots?.map(robot => {
                const status = live.robots.get(robot.id)?.status ?? robot.status;
                return (
                  <li key={robot.id} className={status} data-robot={robot.id} data-status={status}>
                    <i className={`dot ${status}`} aria-hidden="true" />
                    <span className="name">{robot.name}</span>
                    <span className="muted">
                      {label[status]}, {robot.lastHeartbeatTime ? `reported ${ago(robot.lastHeartbeatTime)}` : 'never reported'}
                    </span>
                  </li>
                );
              })}
            </ul>
          </section>
        </div>
      </div>
    </>
  );
}
