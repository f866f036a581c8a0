package admission

import "time"

// minLimit is the least value of a limit.
const minLimit = 4

// limit is the number of calls of a class that may be in flight. It adapts by additive increase and multiplicative
// decrease (Chiu and Jain, 1989). Below threshold it doubles in each round trip, as the slow start of TCP (RFC 5681,
// section 3.1).
type limit struct {
	value, threshold float64
	maximum          int
	decreased        time.Time     // when it was decreased last
	mean             time.Duration // of successful calls, exponentially weighted; 0: none yet
}

func newLimit(most int) limit {
	return limit{value: float64(most), threshold: float64(most), maximum: most}
}

// current returns the limit.
func (l *limit) current() int { return int(l.value) }

// increase raises the limit after a success: by one below the threshold, else by one for each round trip.
func (l *limit) increase() {
	step := 1.0
	if l.value >= l.threshold {
		step = 1 / l.value
	}
	l.value = min(l.value+step, float64(l.maximum))
}

// took records the duration of a successful call.
func (l *limit) took(d time.Duration) {
	if l.mean == 0 {
		l.mean = d
	}
	l.mean += (d - l.mean) / 8
}

// decrease lowers the limit by a tenth, at most once for each round trip. A call that began before the last decrease does
// not count. Nor does one that fails at once, within the mean time of a successful call, or before the first of them.
func (l *limit) decrease(started, now time.Time) {
	if l.mean == 0 || started.Before(l.decreased) || now.Sub(l.decreased) < l.mean {
		return
	}
	l.value = max(l.value*0.9, l.minimum())
	l.threshold, l.decreased = l.value, now
}

// restart begins again with the least limit, so that no burst follows an outage. The threshold stays, as that of TCP after
// a timeout (RFC 5681, section 3.1).
func (l *limit) restart() { l.value = l.minimum() }

func (l *limit) minimum() float64 { return min(minLimit, float64(l.maximum)) }
