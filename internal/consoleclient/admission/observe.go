package admission

import "time"

// Observer receives the calls of a Controller.
type Observer interface {
	// Waited is called for each admitted call with the time that it waited for its permit.
	Waited(Class, time.Duration)
	// Refused is called for each call that is refused with a *RefusedError.
	Refused(Class, Reason)
	// RetryRefused is called when the retry limit does not allow another attempt.
	RetryRefused()
}

// unobserved is the Observer of a Controller without one.
type unobserved struct{}

func (unobserved) Waited(Class, time.Duration) {}
func (unobserved) Refused(Class, Reason)       {}
func (unobserved) RetryRefused()               {}

// ClassState is the state of a class at one moment.
type ClassState struct {
	Class Class
	// InFlight is the number of calls in flight. Limit is the present number of permits. Waiting is the number
	// of calls that wait for one, or for the probes of their operation.
	InFlight, Limit, Waiting int
	// Open is the number of breakers that are open or half open. One that no call has needed for a minute does not count:
	// it would admit the next call.
	Open int
}

// State returns the state of all classes.
func (c *Controller) State() []ClassState {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, all := time.Now(), make([]ClassState, 0, classes)
	for _, k := range c.classes {
		s := ClassState{Class: k.name, InFlight: k.inFlight + k.late, Limit: k.limit.current(), Waiting: k.queue.calls}
		for b := range k.allBreakers() {
			s.Waiting += b.probeWaiters.calls
			if b.used(now, time.Minute) {
				s.Open++
			}
		}
		all = append(all, s)
	}
	return all
}
