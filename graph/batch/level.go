package batch

import (
	"slices"

	"github.com/consoleql/consoleql/internal/fault"
)

// Access is the access of a resolver or of look-ahead to the reads of an operation. Reads of look-ahead wait
// until their level is started. So the content of a batch does not depend on the speed of resolvers.
type Access struct {
	*Execution
	level *Level // look-ahead's; nil for a resolver
}

// Resolver returns the access of resolvers.
func (e *Execution) Resolver() *Access { return &Access{Execution: e} }

// LookAhead returns the access of one walk of look-ahead.
func (e *Execution) LookAhead() *Access { return &Access{e, &Level{execution: e}} }

// Level returns the level that look-ahead gathers; nil for a resolver.
func (a *Access) Level() *Level { return a.level }

// read is work that does not belong to a batch.
type read interface {
	begin()          // does the work, or waits for it
	release()        // lets others do the work
	isBegun() bool   // reports whether somebody does the work
	needsCall() bool // reports whether the work calls the console
	fail(err error)  // fails instead of doing the work
}

// Level gathers the reads of one level of look-ahead, starts them together, and then gathers those of the next level.
// If they exceed the budget of the operation, none of them is started.
type Level struct {
	execution *Execution
	reads     []read
	after     []func()
	earlier   int          // how many reads the levels before had
	uncached  []read       // those of the first probed reads that the cache does not answer
	probed    int          // how many of the reads were looked up in the cache
	excess    *fault.Error // why the operation ends; nil if it does not
}

// After calls f on a goroutine when the batches of the level have been sent.
func (l *Level) After(f func()) { l.after = append(l.after, f) }

// Excess is the error of an operation that exceeds its budget, nil if it does not.
func (l *Level) Excess() *fault.Error { return l.excess }

// Exceeds reports whether the level exceeds the budget together with the calls before it. Reads that the cache answers
// are no calls.
func (l *Level) Exceeds() bool {
	b := l.execution.budget
	if b.Err() != nil || b.ReadsExceeded(len(l.reads)) != nil {
		return true
	}
	if b.Limit() == 0 || b.Begun()+len(l.reads) <= b.Limit() {
		return false
	}
	for ; l.probed < len(l.reads); l.probed++ {
		if r := l.reads[l.probed]; r.needsCall() {
			l.uncached = append(l.uncached, r)
		}
	}
	return b.Begun()+len(l.uncached) > b.Limit() && b.Begun()+l.unsent() > b.Limit()
}

// unsent counts the calls that wait for the start of the level. The budget already counts a call that a resolver has
// begun.
func (l *Level) unsent() int {
	n := 0
	for _, r := range l.uncached {
		if !r.isBegun() {
			n++
		}
	}
	return n
}

// Refuse fails all reads of the level because they exceed the budget. following is how many calls look-ahead would have
// gathered next.
func (l *Level) Refuse(following int) {
	b := l.execution.budget
	if l.excess = b.ReadsExceeded(len(l.reads)); l.excess == nil {
		needed := b.Begun() + l.unsent()
		if len(l.uncached) == len(l.reads) { // otherwise some of the following reads may be cached, too
			// Resolvers may have begun some of these calls, also some of the following ones. No call is counted twice.
			needed = max(needed, l.earlier+len(l.reads)+following)
		}
		l.excess = b.CallsExceeded(needed)
	}
	l.Fail(l.excess)
}

// Fail fails all reads of the level, because err ends the operation.
func (l *Level) Fail(err *fault.Error) {
	l.excess = err
	for _, r := range l.reads {
		r.fail(err)
	}
	l.clear()
}

// Start starts the reads. Unless all is set, a single read is left to the resolver that will wait for it next, which saves
// a goroutine.
func (l *Level) Start(all bool) {
	l.earlier += len(l.reads)
	waiting := slices.DeleteFunc(l.reads, read.isBegun)
	for _, r := range waiting {
		r.release()
	}
	if all || len(waiting) > 1 {
		l.execution.start(waiting)
	}
	l.clear()
}

// clear removes the reads and wakes the resolvers that wait for them.
func (l *Level) clear() {
	l.reads, l.uncached, l.probed = nil, nil, 0
	l.execution.FinishLevel(true)
}

// Finish wakes the resolvers when the batches of the level have been sent, and runs the functions given to After.
func (l *Level) Finish() {
	l.execution.FinishLevel(true)
	after := l.after
	l.after = nil
	if len(after) == 0 {
		return
	}
	l.execution.Go(func() {
		for _, f := range after {
			f()
		}
	})
}
