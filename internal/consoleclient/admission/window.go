package admission

import "time"

// windowLength is the length of a window, in seconds.
const windowLength = 10

// window counts the calls, failures and retries of the last seconds. The zero window is empty.
type window struct {
	slots [windowLength]second
}

type second struct {
	at                       int64 // Unix time
	calls, failures, retries int
}

func (w *window) slot(now time.Time) *second {
	at := now.Unix()
	s := &w.slots[at%windowLength]
	if s.at != at {
		*s = second{at: at}
	}
	return s
}

func (w *window) call(now time.Time)    { w.slot(now).calls++ }
func (w *window) failure(now time.Time) { w.slot(now).failures++ }

// sum returns the counts of the whole window.
func (w *window) sum(now time.Time) (sum second) {
	for _, s := range w.slots {
		if now.Unix()-s.at < windowLength {
			sum.calls += s.calls
			sum.failures += s.failures
			sum.retries += s.retries
		}
	}
	return sum
}

// The retry limit of a window.
const (
	retriesPerCalls = 10 // one retry for each of so many calls
	extraRetries    = 10
)

// retry counts a retry if the limit allows it.
func (w *window) retry(now time.Time) bool {
	if sum := w.sum(now); sum.retries >= sum.calls/retriesPerCalls+extraRetries {
		return false
	}
	w.slot(now).retries++
	return true
}
