import { useEffect, useMemo, useState, type ReactNode } from 'react';
import { useAnswer, type Answer } from './answer';
import { LoadBar, StatusBar, StatusRing, Trend } from './charts';
import { operation } from './client';
import { ago, count, percent } from './format';
import { graphql } from './gql';
import type { OverviewQuery } from './gql/graphql';
import { useLive, type Live } from './live';
import { link } from './route';
import { Empty, Failed, Freshness, Loading, Missing, Notices, signedOut } from './states';
import { fromRows, inUse, loadOf, none, tally, tallyBy, total, type Counts } from './status';
import { SignIn } from './session';

const overview = operation(
  graphql(`
    query Overview {
      companies {
        id
        name
        departments {
          id
          name
          departmentPath
          visitorHasAnyRole
          visitorHasPermission
          robotCounts {
            byStatus {
              status
              count
            }
            silent
          }
          workflowCounts {
            outdated
          }
        }
        robotCounts {
          total
          byStatus {
            status
            count
          }
          silent
          precision
          unavailable {
            department {
              id
            }
            code
          }
        }
        workflowCounts {
          total
          outdated
          precision
          unavailable {
            code
          }
        }
        queueCounts {
          total
          empty
          precision
          unavailable {
            code
          }
        }
        queues(first: 200) {
          totalCount
          nodes {
            id
            name
            departmentId
            robots(first: 500) {
              totalCount
              nodes {
                id
                status
              }
            }
          }
        }
        silent: robots(filter: { silentFor: 300 }, orderBy: { field: LAST_HEARTBEAT_TIME, direction: ASC }, first: 10) {
          totalCount
          nodes {
            id
            name
            status
            lastHeartbeatTime
            departmentId
          }
        }
        outdated: workflows(filter: { outdated: true }, orderBy: { field: LAST_TRIGGERED_AT, direction: DESC }, first: 8) {
          totalCount
          nodes {
            id
            name
            packageName
            packageVersion
            latestVersion
            departmentId
          }
        }
      }
    }
  `),
);

type Company = NonNullable<OverviewQuery['companies']>[number];

export function Overview({ chosen }: { chosen?: string }) {
  const [hurry, setHurry] = useState(false);
  const answer = useAnswer(overview, {}, ({ companies }) => companies !== null, hurry);
  const { data, failure, refresh } = answer;
  const companies = data?.companies;
  const company = companies?.find(({ id }) => id === chosen) ?? (chosen ? undefined : companies?.[0]);

  if (signedOut(failure)) {
    return <SignIn done={refresh} />;
  }
  if (!companies) {
    return failure ? <Failed error={failure} retry={refresh} /> : <Loading />;
  }
  if (companies.length === 0) {
    return (
      <section className="card centred">
        <h2>No companies</h2>
        <p>Your user belongs to no company of this console.</p>
      </section>
    );
  }
  return (
    <>
      <nav className="companies" aria-label="Companies">
        {companies.map(each => (
          <a key={each.id} href={link(each.id)} aria-current={each === company ? 'page' : undefined}>
            <span>{each.name}</span>
            <StatusBar counts={fromRows(each.robotCounts?.byStatus ?? [])} />
          </a>
        ))}
      </nav>
      {company ? <CompanyView key={company.id} company={company} answer={answer} setHurry={setHurry} /> : <Missing what="company" />}
    </>
  );
}

/** The statuses of a department's robots: from events once all of its robots were told, else from the query. */
function countsOf(department: NonNullable<Company['departments']>[number], told: Counts | undefined, live: Live): Counts {
  const asked = fromRows(department.robotCounts?.byStatus ?? []);
  return told && total(told) + live.removed.size >= total(asked) ? told : asked;
}

function CompanyView({ company, answer, setHurry }: { company: Company; answer: Answer<OverviewQuery>; setHurry: (hurry: boolean) => void }) {
  const live = useLive(company.id);
  useEffect(() => setHurry(live.state === 'interrupted'), [live.state, setHurry]);

  const { at, fetching, refresh } = answer;
  const told = useMemo(() => tallyBy(live.robots.values(), ({ departmentId }) => departmentId), [live.robots]);
  const refusing = new Set(company.robotCounts?.unavailable.filter(({ code }) => code === 'FORBIDDEN').map(({ department }) => department.id));
  const departments = (company.departments ?? []).map(department => ({
    ...department,
    counts: countsOf(department, told.get(department.id), live),
    refuses: refusing.has(department.id) || !(department.visitorHasAnyRole || department.visitorHasPermission),
  }));
  const counts = company.robotCounts
    ? departments.reduce((sum, { counts }) => {
        for (const status of Object.keys(sum) as (keyof Counts)[]) {
          sum[status] += counts[status];
        }
        return sum;
      }, none())
    : none();
  const nameOf = useMemo(() => new Map((company.departments ?? []).map(({ id, name }) => [id, name])), [company.departments]);
  const points = useTrend(counts.BUSY, at);
  const refused = departments.filter(({ refuses }) => refuses);

  return (
    <>
      <div className="heading">
        <div>
          <h1 tabIndex={-1}>{company.name}</h1>
          <p className="muted">
            {count(departments.length)} departments
            {refused.length > 0 ? `, ${count(refused.length)} without access` : ''}
          </p>
        </div>
        <Freshness live={live.state} at={at} busy={fetching} refresh={refresh} />
      </div>
      <Notices {...answer} shown={['FORBIDDEN']} />

      <section className="tiles" aria-label="Figures">
        <Tile name="Robots" value={company.robotCounts ? total(counts) : undefined} least={incomplete(company.robotCounts)} note={`${count(counts.BUSY + counts.READY)} connected`} />
        <Tile name="Busy now" value={company.robotCounts ? counts.BUSY : undefined} note={`${percent(counts.BUSY, counts.BUSY + counts.READY)}% of the connected`}>
          <Trend points={points} most={counts.BUSY + counts.READY} />
        </Tile>
        <Tile name="Silent" value={company.robotCounts?.silent} alarm least={incomplete(company.robotCounts)} note="no heartbeat for 5 minutes" />
        <Tile name="Outdated workflows" value={company.workflowCounts?.outdated} alarm least={incomplete(company.workflowCounts)} note={`of ${count(company.workflowCounts?.total ?? 0)} workflows`} />
        <Tile name="Empty queues" value={company.queueCounts?.empty} alarm least={incomplete(company.queueCounts)} note={`of ${count(company.queueCounts?.total ?? 0)} queues`} />
      </section>

      <div className="columns">
        <div className="stack">
          <section className="card" aria-labelledby="departments">
            <h2 id="departments">Departments</h2>
            <ul className="rows departments">
              {departments.map(department => (
                <li key={department.id}>
                  <a href={link(company.id, department.id)} style={{ paddingInlineStart: `${depth(department.departmentPath) * 18 + 10}px` }}>
                    <span className="name">{department.name}</span>
                    {department.refuses ? (
                      <span className="chip">no access</span>
                    ) : department.robotCounts ? (
                      <>
                        <span className="chips">
                          {department.robotCounts.silent > 0 ? <span className="chip warn">{department.robotCounts.silent} silent</span> : null}
                          {(department.workflowCounts?.outdated ?? 0) > 0 ? <span className="chip">{department.workflowCounts?.outdated} outdated</span> : null}
                        </span>
                        <span className="number">{count(total(department.counts))}</span>
                        <StatusBar counts={department.counts} />
                      </>
                    ) : (
                      <span className="chip fail">not read</span>
                    )}
                  </a>
                </li>
              ))}
            </ul>
          </section>
          <section className="card" aria-labelledby="silent">
            <h2 id="silent">Silent robots {company.silent ? <small>{count(company.silent.totalCount)}</small> : null}</h2>
            {company.silent?.nodes.length === 0 ? <Empty>All robots have reported within 5 minutes.</Empty> : null}
            <ul className="rows">
              {company.silent?.nodes.map(robot => (
                <li key={robot.id}>
                  <a href={link(company.id, robot.departmentId ?? '')}>
                    <i className={`dot ${live.robots.get(robot.id)?.status ?? robot.status}`} aria-hidden="true" />
                    <span className="name">
                      {robot.name} <small>{nameOf.get(robot.departmentId ?? '')}</small>
                    </span>
                    <span className="muted">{robot.lastHeartbeatTime ? ago(robot.lastHeartbeatTime) : 'never reported'}</span>
                  </a>
                </li>
              ))}
            </ul>
          </section>
        </div>
        <div className="stack">
          <section className="card" aria-labelledby="by-status">
            <h2 id="by-status">Robots by status</h2>
            <StatusRing counts={counts} />
          </section>
          <Queues company={company} live={live} nameOf={nameOf} />
          <section className="card" aria-labelledby="outdated">
            <h2 id="outdated">Outdated workflows {company.outdated ? <small>{count(company.outdated.totalCount)}</small> : null}</h2>
            {company.outdated?.nodes.length === 0 ? <Empty>All workflows run the latest version of their package.</Empty> : null}
            <ul className="rows">
              {company.outdated?.nodes.map(workflow => (
                <li key={workflow.id}>
                  <a href={link(company.id, workflow.departmentId ?? '', workflow.id)}>
                    <span className="name">
                      {workflow.name} <small>{workflow.packageName}</small>
                    </span>
                    <span className="versions">
                      {workflow.packageVersion} <span aria-label="latest is">→</span> <strong>{workflow.latestVersion}</strong>
                    </span>
                  </a>
                </li>
              ))}
            </ul>
          </section>
        </div>
      </div>
    </>
  );
}

/** Whether a count may be too small. What a department refuses does not count. */
const incomplete = (counts: { precision: string; unavailable: { code: string }[] } | null) =>
  counts?.precision === 'AT_LEAST' || counts?.unavailable.some(({ code }) => code !== 'FORBIDDEN');

const depth = (path: string | null | undefined) => Math.max(0, (path ?? '').split('/').length - 1);

interface TileProps {
  name: string;
  value: number | undefined;
  note: string;
  alarm?: boolean;
  least?: boolean;
  children?: ReactNode;
}

/** A figure. It is a dash where it could not be read. */
function Tile({ name, value, note, alarm, least, children }: TileProps) {
  return (
    <div className={`card tile ${alarm && value ? 'alarm' : ''}`}>
      <h2>{name}</h2>
      <p className="figure">
        {least ? '≥ ' : ''}
        {value === undefined ? '–' : count(value)}
      </p>
      <p className="muted">{value === undefined ? 'could not be read' : note}</p>
      {children}
    </div>
  );
}

function Queues({ company, live, nameOf }: { company: Company; live: Live; nameOf: Map<string, string> }) {
  const queues = (company.queues?.nodes ?? [])
    .map(queue => ({ ...queue, counts: queue.robots ? tally(queue.robots.nodes, live.robots) : undefined }))
    .map(queue => ({ ...queue, load: queue.counts ? loadOf(queue.counts) : -1 }))
    .sort((a, b) => b.load - a.load || (b.counts?.BUSY ?? 0) - (a.counts?.BUSY ?? 0) || (a.name < b.name ? -1 : 1));
  return (
    <section className="card" aria-labelledby="queues">
      <h2 id="queues">Queues by load {company.queues ? <small>{count(company.queues.totalCount)}</small> : null}</h2>
      {company.queues ? null : <Empty>The queues could not be read.</Empty>}
      {company.queues?.nodes.length === 0 ? <Empty>There are no queues.</Empty> : null}
      <ul className="rows loads">
        {queues.slice(0, 6).map(({ id, name, departmentId, counts, load }) => (
          <li key={id}>
            <a href={link(company.id, departmentId ?? '')}>
              <span className="name">
                {name} <small>{nameOf.get(departmentId ?? '')}</small>
              </span>
              <span className="muted">{counts ? inUse(counts) : 'not read'}</span>
              <span className="number">{load < 0 ? '–' : `${load}%`}</span>
              <LoadBar counts={counts ?? none()} />
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** The number of busy robots whenever it changed, the latest 200 times. */
function useTrend(busy: number, at: number) {
  const [points, setPoints] = useState<{ at: number; busy: number }[]>([]);
  useEffect(() => {
    if (at > 0) {
      setPoints(points => [...points.slice(-199), { at: Date.now(), busy }]);
    }
  }, [busy, at]);
  return points;
}
