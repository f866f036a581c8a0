import { useEffect, useState } from 'react';
import { useAnswer } from './answer';
import { LoadBar, StatusRing } from './charts';
import { operation } from './client';
import { ago, count } from './format';
import { graphql } from './gql';
import type { RobotStatus } from './gql/graphql';
import { useLive } from './live';
import { link } from './route';
import { SignIn } from './session';
import { Empty, Failed, Freshness, Loading, Missing, Notices, signedOut } from './states';
import { inUse, label, loadOf, none, statuses, tally, total } from './status';

const query = operation(
  graphql(`
    query Department($company: ID!, $department: ID!) {
      company(id: $company) {
        id
        name
        department(id: $department) {
          id
          name
          description
          robotCounts {
            silent
          }
          robots(first: 500, orderBy: { field: NAME }) {
            totalCount
            nodes {
              id
              name
              status
              lastHeartbeatTime
            }
          }
          queues(first: 100, orderBy: { field: NAME }) {
            totalCount
            nodes {
              id
              name
              robots(first: 500) {
                nodes {
                  id
                  status
                }
              }
            }
          }
          workflows(first: 100, orderBy: { field: LAST_TRIGGERED_AT, direction: DESC }) {
            totalCount
            nodes {
              id
              name
              packageName
              packageVersion
              latestVersion
              outdated
              lastTriggeredAt
            }
          }
        }
      }
    }
  `),
);

export function Department({ company, department }: { company: string; department: string }) {
  const live = useLive(company, department);
  const answer = useAnswer(query, { company, department }, ({ company }) => Boolean(company?.department), live.state === 'interrupted');
  const { data, failure, fetching, at, refresh } = answer;
  const [only, setOnly] = useState<string>('');
  const found = data?.company?.department;
  useEffect(() => {
    document.title = `${found?.name ?? 'Robots'} · ConsoleQL`;
  }, [found?.name]);

  if (signedOut(failure)) {
    return <SignIn done={refresh} />;
  }
  if (!found) {
    return failure ? <Failed error={failure} retry={refresh} /> : data ? <Missing what="department" /> : <Loading />;
  }

  // The robots of the query with the statuses of events, without those that are gone, and with those that are new.
  const listed = (found.robots?.nodes ?? []).filter(({ id }) => !live.removed.has(id));
  const known = new Set(listed.map(({ id }) => id));
  const added = found.robots ? [...live.robots.values()].filter(({ id }) => !known.has(id)) : [];
  const robots: Robot[] = [...listed.map(robot => ({ ...robot, status: live.robots.get(robot.id)?.status ?? robot.status })), ...added];
  const counts = tally(robots);
  const queues = found.queues?.nodes.map(queue => ({ ...queue, counts: queue.robots ? tally(queue.robots.nodes, live.robots) : undefined }));
  const shown = robots.filter(({ status }) => !only || status === only);

  return (
    <>
      <nav className="crumbs" aria-label="Breadcrumb">
        <a href={link(company)}>{data.company?.name}</a>
      </nav>
      <div className="heading">
        <div>
          <h1 tabIndex={-1}>{found.name}</h1>
          <p className="muted">{found.description}</p>
        </div>
        <Freshness live={live.state} at={at} busy={fetching} refresh={refresh} />
      </div>
      <Notices {...answer} />

      <div className="columns">
        <section className="card" aria-labelledby="robots">
          <h2 id="robots">Robots {found.robots ? <small>{count(found.robots.totalCount - (found.robots.nodes.length - listed.length) + added.length)}</small> : null}</h2>
          {found.robots ? (
            <div className="filters" role="group" aria-label="Show robots">
              {['', ...statuses.filter(status => counts[status] > 0)].map(status => (
                <button key={status} type="button" aria-pressed={only === status} onClick={() => setOnly(status)}>
                  {status ? label[status as keyof typeof label] : 'All'} {count(status ? counts[status as keyof typeof counts] : total(counts))}
                </button>
              ))}
            </div>
          ) : (
            <Empty>The robots could not be read.</Empty>
          )}
          {found.robots && robots.length === 0 ? <Empty>There are no robots.</Empty> : null}
          <ul className="robots">
            {shown.map(({ id, name, status, lastHeartbeatTime }) => (
              <li key={id} className={status} data-robot={id} data-status={status}>
                <i className={`dot ${status}`} aria-hidden="true" />
                <span className="name">{name}</span>
                <span className="muted">
                  {label[status]}
                  {silent(lastHeartbeatTime) ? <>, {lastHeartbeatTime ? `silent, ${ago(lastHeartbeatTime)}` : 'never reported'}</> : null}
                </span>
              </li>
            ))}
          </ul>
        </section>
        <div className="stack">
          <section className="card" aria-labelledby="by-status">
            <h2 id="by-status">By status</h2>
            <StatusRing counts={counts} />
          </section>
          <section className="card" aria-labelledby="queues">
            <h2 id="queues">Queues {found.queues ? <small>{count(found.queues.totalCount)}</small> : null}</h2>
            {found.queues ? null : <Empty>The queues could not be read.</Empty>}
            {found.queues?.nodes.length === 0 ? <Empty>There are no queues.</Empty> : null}
            <ul className="rows loads plain">
              {queues?.map(({ id, name, counts }) => (
                <li key={id}>
                  <span className="name">{name}</span>
                  <span className="muted">{counts ? inUse(counts) : 'not read'}</span>
                  <span className="number">{counts && loadOf(counts) >= 0 ? `${loadOf(counts)}%` : '–'}</span>
                  <LoadBar counts={counts ?? none()} />
                </li>
              ))}
            </ul>
          </section>
        </div>
      </div>

      <section className="card" aria-labelledby="workflows">
        <h2 id="workflows">Workflows {found.workflows ? <small>{count(found.workflows.totalCount)}</small> : null}</h2>
        {found.workflows ? null : <Empty>The workflows could not be read.</Empty>}
        {found.workflows?.nodes.length === 0 ? <Empty>There are no workflows.</Empty> : null}
        <ul className="rows workflows">
          {found.workflows?.nodes.map(workflow => (
            <li key={workflow.id}>
              <a href={link(company, department, workflow.id)}>
                <span className="name">
                  {workflow.name} <small>{workflow.packageName}</small>
                </span>
                <span className="versions">
                  {workflow.packageVersion}
                  {workflow.outdated ? <span className="chip warn">latest is {workflow.latestVersion}</span> : null}
                </span>
                <span className="muted">{workflow.lastTriggeredAt ? `ran ${ago(workflow.lastTriggeredAt)}` : 'never ran'}</span>
              </a>
            </li>
          ))}
        </ul>
      </section>
    </>
  );
}

interface Robot {
  id: string;
  name: string;
  status: RobotStatus;
  /** Undefined where only events have told of the robot. */
  lastHeartbeatTime?: string | null;
}

const silent = (moment: string | null | undefined) => moment === null || (moment !== undefined && Date.now() - Date.parse(moment) > 300_000);
