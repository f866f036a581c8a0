package audit

import (
	"context"
	"sync"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
)

// refusalInterval is the least time between two lines about refusals of one origin.
const refusalInterval = time.Second

// maxOrigins bounds the origins with lines of their own. Further origins with the same via share a line.
const maxOrigins = 1000

// refusals writes at most one line per origin and second. A line counts the refusals since the one before.
type refusals struct {
	write func(line)

	mu      sync.Mutex
	origins map[origin]*refused
	closed  bool
}

// origin is an actor, and the way of its requests.
type origin struct {
	actor actor
	via   string
}

// refused holds the refusals of an origin since its last line.
type refused struct {
	count int
	last  line
	timer *time.Timer
}

// add writes a refusal, or keeps it until the interval of its origin ends.
func (r *refusals) add(entry line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := origin{entry.Actor, entry.Via}
	if _, known := r.origins[key]; !known && len(r.origins) >= maxOrigins {
		key.actor = actor{}
	}
	if pending := r.origins[key]; pending != nil {
		pending.count++
		pending.last = entry
		return
	}
	entry.Refusals = 1
	r.write(entry)
	if r.closed {
		return
	}
	if r.origins == nil {
		r.origins = make(map[origin]*refused)
	}
	pending := &refused{}
	pending.timer = time.AfterFunc(refusalInterval, func() { r.flush(key, pending) })
	r.origins[key] = pending
}

// flush ends an interval. If there were refusals in it, their line begins the next one.
func (r *refusals) flush(key origin, pending *refused) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.origins[key] != pending {
		return
	}
	if pending.count == 0 {
		delete(r.origins, key)
		return
	}
	r.writePending(pending)
	pending.timer.Reset(refusalInterval)
}

func (r *refusals) writePending(pending *refused) {
	pending.last.Refusals = pending.count
	r.write(pending.last)
	pending.count, pending.last = 0, line{}
}

// close writes the refusals that wait.
func (r *refusals) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for key, pending := range r.origins {
		pending.timer.Stop()
		if pending.count > 0 {
			r.writePending(pending)
		}
		delete(r.origins, key)
	}
}

// refuse writes that something was refused before it was executed. Its input, which may be anything, is left out.
func (l *Log) refuse(entry line, code fault.Code) {
	entry.Phase, entry.Outcome, entry.Code = phaseDone, fault.NotSent, code
	entry.Input, entry.Targets = nil, nil
	l.refusals.add(entry)
}

// Refused records a request that was refused for its credentials, before its operation was read.
func (l *Log) Refused(ctx context.Context, code fault.Code) {
	if l != nil {
		l.refuse(l.begin(ctx, "", operation.Summary{}), code)
	}
}

// RefusedOperation records a mutation of which nothing is executed. mutation is its first root field.
func (l *Log) RefusedOperation(ctx context.Context, mutation string, s operation.Summary, code fault.Code) {
	if l != nil {
		l.refuse(l.begin(ctx, mutation, s), code)
	}
}
