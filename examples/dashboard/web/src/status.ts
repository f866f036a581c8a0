import type { RobotStatus } from './gql/graphql';

/** The statuses in the order of bars and legends. */
export const statuses = ['BUSY', 'READY', 'DISCONNECTED', 'UNKNOWN'] as const satisfies readonly RobotStatus[];

export const label: Record<RobotStatus, string> = { BUSY: 'Busy', READY: 'Ready', DISCONNECTED: 'Disconnected', UNKNOWN: 'Unknown' };

export type Counts = Record<RobotStatus, number>;

export const none = (): Counts => ({ BUSY: 0, READY: 0, DISCONNECTED: 0, UNKNOWN: 0 });

export const total = (counts: Counts) => statuses.reduce((sum, status) => sum + counts[status], 0);

export function fromRows(rows: readonly { status: RobotStatus; count: number }[]): Counts {
  const counts = none();
  for (const row of rows) {
    counts[row.status] = row.count;
  }
  return counts;
}

/** Counts robots, with what is known of them from events put before what a query answered. */
export function tally(robots: Iterable<{ id: string; status: RobotStatus }>, live?: ReadonlyMap<string, { status: RobotStatus }>): Counts {
  const counts = none();
  for (const robot of robots) {
    counts[live?.get(robot.id)?.status ?? robot.status]++;
  }
  return counts;
}

export const inWords = (counts: Counts) =>
  statuses
    .filter(status => counts[status] > 0)
    .map(status => `${counts[status]} ${label[status].toLowerCase()}`)
    .join(', ') || 'no robots';

/** The share of the connected robots that are busy, in percent; -1 if none is connected. */
export const loadOf = ({ BUSY, READY }: Counts) => (BUSY + READY > 0 ? Math.round((100 * BUSY) / (BUSY + READY)) : -1);

export function inUse(counts: Counts): string {
  const connected = counts.BUSY + counts.READY;
  return connected > 0 ? `${counts.BUSY} of ${connected}` : total(counts) > 0 ? 'none connected' : 'empty';
}

/** Counts robots by a key, in one pass. */
export function tallyBy<Robot extends { status: RobotStatus }>(robots: Iterable<Robot>, key: (robot: Robot) => string | null | undefined): Map<string, Counts> {
  const groups = new Map<string, Counts>();
  for (const robot of robots) {
    const name = key(robot) ?? '';
    const counts = groups.get(name) ?? none();
    counts[robot.status]++;
    groups.set(name, counts);
  }
  return groups;
}
