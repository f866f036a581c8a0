// Package admission decides when a call of the console may be sent. It bounds the calls in flight, shares the permits
// fairly between callers, and spares a console that fails.
//
// Each class of calls has a limit that adapts (additive increase, multiplicative decrease) and a queue with round robin
// over the callers. Each operation has a circuit breaker, so that one that hangs does not stop the others of its class.
// A caller whose calls alone fail gets one of its own. All share one retry limit.
package admission

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/fault"
)

// Class is a group of calls that succeed, fail and slow down together.
type Class int

// The classes.
const (
	Lists   Class = iota // GET of many entities
	Gets                 // GET of one entity
	Writes               // mutations
	Uploads              // requests with a file as body
	SSO                  // grants of tokens
	classes
)

// String returns the name of the class.
func (c Class) String() string {
	return [...]string{"lists", "gets", "writes", "uploads", "sso"}[c]
}

// reads reports whether the calls of the class are reads, which may be ended early and repeated.
func (c Class) reads() bool { return c == Lists || c == Gets }

const (
	// DefaultConcurrency is the default of Options.Concurrency.
	DefaultConcurrency = 256
	// MaxUploads bounds the calls of Uploads in flight.
	MaxUploads = 64
	// MaxSSO bounds the calls of SSO in flight.
	MaxSSO = 64
)

// Options configures New.
type Options struct {
	// Concurrency bounds the calls of Lists, Gets and Writes in flight, together. 0: DefaultConcurrency.
	Concurrency int
	// Rate bounds the calls of Lists, Gets and Writes that start per second. 0: no bound.
	Rate float64
	// Wait bounds how long a call waits for its permit. 0: only its context bounds it.
	Wait time.Duration
	// Probe, if not nil, is called before a call that tests a failing operation, so that it uses a new connection.
	Probe func(Class)
	// Changed, if not nil, is called when the breaker of an operation opens and when it closes. It must not block.
	Changed func(operation string, open bool)
	// Observer, if not nil, receives calls. It must not block.
	Observer Observer
}

// Controller admits calls. It is safe for concurrent use.
type Controller struct {
	probe   func(Class)
	changed func(string, bool)
	observe Observer
	wait    time.Duration // 0: no bound
	reserve int           // the shared permits that each class leaves to each of the others

	mu          sync.Mutex
	concurrency int
	inFlight    int // calls that hold a permit
	classes     [classes]*class
	served      int // the class whose call was admitted last
	waiting     waitCounts
	retries     window
	rate        *rate.Limiter // nil: no bound
	timer       *time.Timer   // dispatches again when rate allows the next call; nil: not set
}

// class is the state of one class. The lock of its controller guards it.
type class struct {
	name     Class
	shared   bool           // whether its calls hold Controller.concurrency
	inFlight int            // without late probes
	byCaller map[string]int // calls in flight by caller
	late     int            // late probes, see breaker
	maxLate  int            // the least number of late probes with which no other probe begins
	queue    queue
	limit    limit
	breakers map[string]*breaker // by operation
	paused   time.Time           // until when the console asked to wait
}

// New creates a Controller.
func New(o Options) *Controller {
	c := &Controller{probe: o.Probe, changed: o.Changed, observe: o.Observer, wait: o.Wait, concurrency: o.Concurrency}
	if c.concurrency <= 0 {
		c.concurrency = DefaultConcurrency
	}
	if c.concurrency >= minShared {
		c.reserve = max(1, c.concurrency/reserveShare)
	}
	if c.probe == nil {
		c.probe = func(Class) {}
	}
	if c.changed == nil {
		c.changed = func(string, bool) {}
	}
	if c.observe == nil {
		c.observe = unobserved{}
	}
	if o.Rate > 0 {
		c.rate = rate.NewLimiter(rate.Limit(o.Rate), max(1, int(o.Rate)))
	}
	for i := range c.classes {
		k := &class{name: Class(i), shared: Class(i) < Uploads, byCaller: make(map[string]int), breakers: make(map[string]*breaker)}
		most := c.concurrency
		switch k.name {
		case Uploads:
			most = MaxUploads
		case SSO:
			most = MaxSSO
		case Lists, Gets, Writes, classes:
		}
		k.limit, k.queue.counts, k.maxLate = newLimit(most), &c.waiting, max(minLate, most/lateShare)
		c.classes[i] = k
	}
	return c
}

// RefusedError is the error of a call that was not admitted. Nothing was sent.
type RefusedError struct {
	Reason Reason
	// RetryAfter is the time after which a call may be admitted.
	RetryAfter time.Duration
	// Caller is the caller whose operations wait, if the reason is QueueFull.
	Caller string
}

// Reason is why a call was not admitted.
type Reason string

// The reasons.
const (
	// Open: most calls of the operation, or of the caller's calls of it, failed, and their breaker is open.
	Open Reason = "calls of the console fail and are paused"
	// Paused: the console asked to wait.
	Paused Reason = "the console has asked to wait"
	// Busy: no permit became free in time.
	Busy Reason = "too many calls of the console wait"
	// QueueFull: MaxWaiting operations of the caller wait for permits.
	QueueFull Reason = "too many operations of this caller wait for the console"
)

// Name returns the reason in one word, for metrics.
func (r Reason) Name() string {
	switch r {
	case Open:
		return "open"
	case Paused:
		return "paused"
	case Busy:
		return "busy"
	default:
		return "crowded"
	}
}

// MaxWaiting bounds the operations of one caller that wait for permits. An operation that holds a permit, or that has
// sent a call, goes on.
const MaxWaiting = 64

// Error returns the reason.
func (r *RefusedError) Error() string { return string(r.Reason) }

// Call describes a call that is to be sent.
type Call struct {
	Class Class
	// Operation is the name of the operation. The number of names must be bounded.
	Operation string
	// Caller is the name of the caller. Callers share the permits of the class.
	Caller string
	// Joined, if not nil, returns the callers who wait for the call besides Caller, and a channel that is closed when
	// another does. The call begins when one of them has its turn.
	Joined func() (callers []string, more <-chan struct{})
	// Owner is the operation of the caller that needs the call, a pointer; nil: the call serves no operation, and is not
	// refused as QueueFull.
	Owner any
	// Begun reports that Owner has sent a call before.
	Begun bool
}

// Acquire waits for a permit and returns it. The caller must call Done on it once.
//
// It fails with *RefusedError if the breaker of the operation is open, or the console asked to wait. It also does if too
// many operations of the caller wait, or if the deadline of ctx or Options.Wait ends first. It fails with the error of
// ctx if ctx is cancelled.
func (c *Controller) Acquire(ctx context.Context, call Call) (*Permit, error) {
	begun := time.Now()
	p, err := c.acquire(ctx, call)
	var refused *RefusedError
	switch {
	case err == nil:
		c.observe.Waited(call.Class, time.Since(begun))
	case errors.As(err, &refused):
		c.observe.Refused(call.Class, refused.Reason)
	}
	return p, err
}

func (c *Controller) acquire(ctx context.Context, call Call) (*Permit, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("admission: %w", err)
	}
	k := c.classes[call.Class]
	c.mu.Lock()
	b := k.breakerOf(call.Operation).of(call.Caller)
	now := time.Now()
	if left := k.paused.Sub(now); left > 0 {
		c.mu.Unlock()
		return nil, &RefusedError{Reason: Paused, RetryAfter: left}
	}
	hold, err := b.admit(now, call.Caller, k.name.reads())
	if err == nil && b.state != closed && k.late >= k.maxLate {
		err = &RefusedError{Reason: Open, RetryAfter: openTime}
	}
	if err != nil {
		c.mu.Unlock()
		return nil, err
	}
	w := &waiter{permit: &Permit{controller: c, class: k, breaker: b, call: call}, result: make(chan error, 1)}
	if hold {
		b.probeWaiters.push(w)
	} else {
		k.push(w)
	}
	c.dispatch()
	if w.in != nil && !call.Begun && call.Owner != nil && c.waiting.of(call.Caller) > MaxWaiting {
		c.abandon(w, &RefusedError{Reason: QueueFull, RetryAfter: fault.Soon(), Caller: call.Caller})
	}
	c.mu.Unlock()
	return c.await(ctx, w)
}

// await waits until w is admitted or refused.
func (c *Controller) await(ctx context.Context, w *waiter) (*Permit, error) {
	select {
	case err := <-w.result:
		return w.decided(err)
	default: // it waits
	}
	more := c.join(w)
	if c.wait > 0 {
		bounded, cancel := context.WithTimeout(ctx, c.wait)
		defer cancel()
		ctx = bounded
	}
	for ctx.Err() == nil {
		select {
		case err := <-w.result:
			return w.decided(err)
		case <-more:
			more = c.join(w)
		case <-ctx.Done():
		}
	}
	c.mu.Lock()
	c.abandon(w, ctx.Err())
	c.mu.Unlock()
	w.permit.Done(Ignored) // it may have been admitted at the same moment
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, &RefusedError{Reason: Busy, RetryAfter: fault.Soon()}
	}
	return nil, fmt.Errorf("admission: %w", ctx.Err())
}

// join lets a call wait for the turns of those who have joined its load; see waiter.join.
func (c *Controller) join(w *waiter) (more <-chan struct{}) {
	if w.permit.call.Joined == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	more = w.join()
	c.dispatch()
	return more
}

// abandon refuses a call that still waits. c.mu is held.
func (c *Controller) abandon(w *waiter, err error) {
	if w.leave() {
		w.refuse(err)
		c.dispatch() // the call may have been a probe
	}
}

// breakerOf returns the breaker of an operation.
func (c *class) breakerOf(operation string) *breaker {
	b, ok := c.breakers[operation]
	if !ok {
		b = newBreaker()
		c.breakers[operation] = b
	}
	return b
}

// Pause admits no call of the class for d, because the console asked for it by a Retry-After. It never shortens a pause.
func (c *Controller) Pause(of Class, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.classes[of]
	if until := time.Now().Add(d); until.After(k.paused) {
		k.paused = until
		k.limit.restart()
		for k.queue.calls > 0 {
			k.queue.next(anyCaller).refuse(&RefusedError{Reason: Paused, RetryAfter: d})
		}
		for b := range k.allBreakers() {
			for b.probeWaiters.calls > 0 {
				b.probeWaiters.next(anyCaller).refuse(&RefusedError{Reason: Paused, RetryAfter: d})
			}
		}
	}
}

// Retry reports whether the retry limit allows another attempt, and counts it. In any 10 seconds there are at most 10
// retries more than a tenth of the calls.
func (c *Controller) Retry() bool {
	c.mu.Lock()
	allowed := c.retries.retry(time.Now())
	c.mu.Unlock()
	if !allowed {
		c.observe.RetryRefused()
	}
	return allowed
}

// retryWait is the maximum wait before the first retry; it doubles for the next.
const (
	retryWait    = 100 * time.Millisecond
	maxRetryWait = time.Second
)

// RetryDelay returns the wait before retry n, which counts from 0, with full jitter.
func RetryDelay(n int) time.Duration {
	return backoff.FullJitter(backoff.Exponential(retryWait, maxRetryWait, n))
}
