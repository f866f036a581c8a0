import { count, percent } from './format';
import { inUse, inWords, label, loadOf, statuses, total, type Counts } from './status';

/** A bar whose parts are the shares of the statuses. */
export function StatusBar({ counts }: { counts: Counts }) {
  const all = total(counts);
  let x = 0;
  return (
    <svg className="bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label={inWords(counts)}>
      <rect width="100" height="8" className="track" />
      {statuses.map(status => {
        const width = all > 0 ? (100 * counts[status]) / all : 0;
        const from = x;
        x += width;
        return width > 0 ? <rect key={status} x={from} width={Math.max(0, width - (x < 99.9 ? 0.6 : 0))} height="8" className={`fill ${status}`} /> : null;
      })}
    </svg>
  );
}

/** A ring of the statuses, with the share of busy robots in the middle, and its legend. */
export function StatusRing({ counts }: { counts: Counts }) {
  const all = total(counts);
  const radius = 42;
  const around = 2 * Math.PI * radius;
  const load = loadOf(counts);
  let turned = 0;
  return (
    <div className="ring">
      <svg viewBox="0 0 100 100" role="img" aria-label={`${count(all)} robots: ${inWords(counts)}`}>
        <circle cx="50" cy="50" r={radius} className="track" />
        {statuses.map(status => {
          const length = all > 0 ? (around * counts[status]) / all : 0;
          const offset = -turned;
          turned += length;
          return length > 0 ? (
            <circle
              key={status}
              cx="50"
              cy="50"
              r={radius}
              className={`arc ${status}`}
              strokeDasharray={`${Math.max(0, length - (length < around ? 1.2 : 0))} ${around}`}
              strokeDashoffset={offset}
              transform="rotate(-90 50 50)"
            />
          ) : null;
        })}
        <text x="50" y="51" className="value">
          {load < 0 ? '–' : `${load}%`}
        </text>
        <text x="50" y="64" className="caption">
          busy
        </text>
      </svg>
      <dl className="legend">
        {statuses
          .filter(status => status !== 'UNKNOWN' || counts.UNKNOWN > 0)
          .map(status => (
            <div key={status}>
              <dt>
                <i className={`dot ${status}`} aria-hidden="true" />
                {label[status]}
              </dt>
              <dd>
                {count(counts[status])} <small>{percent(counts[status], all)}%</small>
              </dd>
            </div>
          ))}
      </dl>
    </div>
  );
}

/** The share of a queue's connected robots that are busy. */
export function LoadBar({ counts }: { counts: Counts }) {
  const load = Math.max(0, loadOf(counts));
  return (
    <svg className="bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label={`Busy robots: ${inUse(counts)}`}>
      <rect width="100" height="8" className="track" />
      <rect width={load} height="8" className={`fill ${load >= 80 ? 'HIGH' : 'BUSY'}`} />
    </svg>
  );
}

/** The number of busy robots since the page was opened. */
export function Trend({ points, most }: { points: readonly { at: number; busy: number }[]; most: number }) {
  const first = points[0];
  const last = points.at(-1);
  if (!first || !last || points.length < 2) {
    return <svg className="trend" viewBox="0 0 100 24" aria-hidden="true" />;
  }
  const span = Math.max(1, last.at - first.at);
  const place = ({ at, busy }: { at: number; busy: number }) => `${((100 * (at - first.at)) / span).toFixed(1)} ${(23 - (22 * busy) / Math.max(1, most)).toFixed(1)}`;
  // Steps: between two events the number stays as it was.
  const steps = points.flatMap((point, i) => (i > 0 ? [place({ at: point.at, busy: points[i - 1]!.busy }), place(point)] : [place(point)]));
  return (
    <svg className="trend" viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label={`Busy robots since the page was opened: ${last.busy} now`}>
      <polygon points={`0 24 ${steps.join(' ')} 100 24`} className="area" />
      <polyline points={steps.join(' ')} className="line" vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
