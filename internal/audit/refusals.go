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
func (r *refusals) add(of line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	who := origin{of.Actor, of.Via}
	if _, known := r.origins[who]; !known && len(r.origins) >= maxOrigins {
		who.actor = actor{}
	}
	if held := r.origins[who]; held != nil {
		held.count++
		held.last = of
		return
	}
	of.Refusals = 1
	r.write(of)
	if r.closed {
		return
	}
	if r.origins == nil {
		r.origins = make(map[origin]*refused)
	}
	held := &refused{}
	held.timer = time.AfterFunc(refusalInterval, func() { r.flush(who, held) })
	r.origins[who] = held
}

// flush ends an interval. If there were refusals in it, their line begins the next one.
func (r *refusals) flush(who origin, held *refused) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.origins[who] != held {
		return
	}
	if held.count == 0 {
		delete(r.origins, who)
		return
	}
	r.writePending(held)
	held.timer.Reset(refusalInterval)
}

func (r *refusals) writePending(held *refused) {
	held.last.Refusals = held.count
	r.write(held.last)
	held.count, held.last = 0, line{}
}

// close writes the refusals that wait.
func (r *refusals) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for who, held := range r.origins {
		held.timer.Stop()
		if held.count > 0 {
			r.writePending(held)
		}
		delete(r.origins, who)
	}
}

// refuse writes that something was refused before it was executed. Its input, which may be anything, is left out.
func (l *Log) refuse(of line, code fault.Code) {
	of.Phase, of.Outcome, of.Code = phaseDone, fault.NotSent, code
	of.Input, of.Targets = nil, nil
	l.refusals.add(of)
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
