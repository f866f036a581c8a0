package batch

import (
	"sync"

	"github.com/consoleql/consoleql/internal/principal"
)

const (
	// ownReaders is how many goroutines each level has for its reads in any case.
	ownReaders = 4
	// MaxReaders bounds the further goroutines of all operations of a gateway.
	MaxReaders = 2048
)

// readers are the goroutines that make the reads of one level. An operation has few of its own. It has more while
// other operations leave some, so that reads that wait need no memory for a goroutine.
type readers struct {
	execution *Execution
	caller    string

	mu      sync.Mutex
	reads   []read // not taken by a goroutine yet
	running int
}

// start makes the reads on goroutines.
func (e *Execution) start(reads []read) {
	if len(reads) <= ownReaders {
		for _, r := range reads {
			e.Go(r.begin)
		}
		return
	}
	r := &readers{execution: e, caller: principal.Caller(e.ctx), reads: reads, running: ownReaders}
	for range ownReaders {
		e.Go(r.run)
	}
}

// run makes reads until none is left.
func (r *readers) run() {
	for next := r.next(); next != nil; next = r.next() {
		next.begin()
	}
}

// next returns a read that no goroutine has taken; nil: there is none.
func (r *readers) next() read {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.reads) == 0 {
		return nil
	}
	next := r.reads[0]
	r.reads = r.reads[1:]
	r.grow()
	return next
}

// grow starts a goroutine for each read that waits, as far as the operation may have more. The caller holds mu.
func (r *readers) grow() {
	for shared := r.execution.readers; r.running < min(ownReaders+len(r.reads), cap(r.execution.slots)) && shared.Take(r.caller, 1); {
		r.running++
		if !r.execution.Go(func() {
			defer shared.Release(r.caller, 1)
			r.run()
		}) {
			shared.Release(r.caller, 1)
			return
		}
	}
}
