import { useEffect, useState } from 'react';
import { useClient, type OperationResult } from 'urql';
import { onEnd, pipe, subscribe } from 'wonka';
import { operation } from './client';
import { graphql } from './gql';
import type { RobotsSubscription, RobotStatus } from './gql/graphql';
import { errorsOf, type LiveState } from './states';

const events = operation(
  graphql(`
    subscription Robots($company: ID!, $departments: [ID!]) {
      robotEvents(companyId: $company, departmentIds: $departments, initial: true) {
        type
        id
        robot {
          id
          name
          status
          departmentId
        }
      }
    }
  `),
);

export interface LiveRobot {
  id: string;
  name: string;
  status: RobotStatus;
  departmentId?: string | null;
}

export interface Live {
  state: LiveState;
  robots: ReadonlyMap<string, LiveRobot>;
  removed: ReadonlySet<string>;
}

interface Seen {
  robots: Map<string, LiveRobot>;
  removed: Set<string>;
}

const nothing: Seen = { robots: new Map(), removed: new Set() };
const shortestPause = 500;
const longestPause = 30_000;

/**
 * Follows the robots of a company, or of one of its departments, by one subscription. A broken connection is opened
 * again with growing pauses; each begins with all robots as they are.
 */
export function useLive(company: string, department?: string): Live {
  const client = useClient();
  const [seen, setSeen] = useState(nothing);
  const [state, setState] = useState<LiveState>('connecting');

  useEffect(() => {
    const robots = new Map<string, LiveRobot>();
    const removed = new Set<string>();
    let pause = shortestPause;
    let closed = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let frame = 0;
    let connection: { unsubscribe(): void } | undefined;

    // A company of 50,000 robots begins with as many events: the maps are copied once for those of a frame.
    const show = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        setSeen({ robots: new Map(robots), removed: new Set(removed) });
      });
    };
    const received = ({ data, error }: OperationResult<RobotsSubscription>) => {
      // A department that refuses is told by an error; the others are followed.
      if (error?.networkError || errorsOf(error).some(({ code }) => code !== 'FORBIDDEN')) {
        setState('interrupted');
      }
      if (!data?.robotEvents) {
        return;
      }
      const { type, id, robot } = data.robotEvents;
      if (type === 'REMOVED') {
        robots.delete(id);
        removed.add(id);
      } else if (robot) {
        robots.set(id, robot);
        removed.delete(id);
      }
      pause = shortestPause;
      setState('live');
      show();
    };
    const connect = () => {
      // A robot that was removed while the connection was broken is not told of.
      robots.clear();
      removed.clear();
      connection = pipe(
        client.subscription(events, { company, departments: department ? [department] : null }),
        onEnd(() => {
          if (closed) {
            return;
          }
          setState('interrupted');
          timer = setTimeout(connect, pause);
          pause = Math.min(longestPause, 2 * pause);
        }),
        subscribe(received),
      );
    };
    connect();
    return () => {
      closed = true;
      clearTimeout(timer);
      cancelAnimationFrame(frame);
      connection?.unsubscribe();
    };
  }, [client, company, department]);

  return { state, ...seen };
}
