package idempotency

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/fault"
)

const (
	// firstPause and maxPause bound the pauses between reads of a record, and between attempts
	// to write one.
	firstPause = 20 * time.Millisecond
	maxPause   = 500 * time.Millisecond
	// recordWait is how long the answer of a finished run waits until it is recorded.
	recordWait = time.Second
)

// runKey names a run that callers of one process share. Another input is another run, since
// only the store decides which of two inputs came first.
type runKey struct{ id, input string }

// sharedRun is one claim in this process, the run that follows it, and the callers that wait for
// them. It is no flight.Call: the claim ends with its first caller, and the run does not end with
// any. The first caller and the others get different answers.
type sharedRun struct {
	key    runKey
	record Record

	answered chan struct{} // closed when own and share are set
	recorded chan struct{} // closed when the store is not needed any more
	once     sync.Once     // sets own and share
	own      answer        // for the first caller
	share    answer        // for the other callers
}

// setAnswers sets the answers, unless they are set.
func (r *sharedRun) setAnswers(own, share answer) {
	r.once.Do(func() {
		r.own, r.share = own, share
		close(r.answered)
	})
}

// answer is what a caller gets.
type answer struct {
	result []byte
	err    error
	retry  bool // nothing was started for the caller, which may claim the key
}

// join returns the run under way, or a new one, which its first caller must claim.
func (e *Executor) join(at runKey) (_ *sharedRun, first bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if shared := e.runs[at]; shared != nil {
		return shared, false
	}
	shared := &sharedRun{
		key: at,
		record: Record{
			ID: at.id, Input: at.input, Owner: newOwner(),
			Lease: e.opts.Lease, Retention: e.opts.Retention,
		},
		answered: make(chan struct{}),
		recorded: make(chan struct{}),
	}
	e.runs[at] = shared
	return shared, true
}

// wait returns the answer, or false if ctx ended before there was one. It waits a moment until
// the answer is recorded, so that the next caller does not get ErrUnknown. An answer that is
// known is returned in any case.
func (r *sharedRun) wait(ctx context.Context, first bool) (answer, bool) {
	select {
	case <-r.answered:
	case <-ctx.Done():
		select {
		case <-r.answered:
		default:
			return answer{}, false
		}
	}
	timer := time.NewTimer(recordWait)
	defer timer.Stop()
	select {
	case <-r.recorded:
	case <-timer.C:
	case <-ctx.Done():
	}
	if first {
		return r.own, true
	}
	return r.share, true
}

// complete ends a run. The next caller begins another.
func (e *Executor) complete(shared *sharedRun) {
	e.mu.Lock()
	delete(e.runs, shared.key)
	e.mu.Unlock()
	close(shared.recorded)
}

// finishWith ends a run that was not started, with one answer for all.
func (e *Executor) finishWith(shared *sharedRun, a answer) {
	shared.setAnswers(a, a)
	e.complete(shared)
}

// start starts a claimed run on its own goroutine. If the caller has left, it starts nothing.
func (e *Executor) start(ctx context.Context, shared *sharedRun, run Run) {
	if ctx.Err() != nil {
		shared.setAnswers(answer{retry: true}, answer{retry: true})
		e.tasks.Go(func() {
			e.finish(ctx, shared.record, End{Outcome: NotStarted})
			e.complete(shared)
		})
		return
	}
	e.tasks.Go(func() {
		runCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.opts.RunTimeout)
		defer cancel()
		e.run(runCtx, cancel, shared, run)
	})
}

// run runs, renews the lease meanwhile, and records the outcome.
func (e *Executor) run(ctx context.Context, cancel context.CancelFunc, shared *sharedRun, run Run) {
	ran := make(chan struct{})
	var end End
	go func() {
		defer close(ran)
		// These answers are set also if the run ends its goroutine.
		own, share := answer{err: unknown()}, answer{err: unknown()}
		defer func() { shared.setAnswers(own, share) }()
		result, outcome, err := e.call(ctx, run)
		end, own, share = conclude(result, outcome, err)
	}()
	if e.renew(ctx, cancel, shared.record, ran) {
		e.finish(ctx, shared.record, end)
		e.complete(shared)
		return
	}
	e.finishWith(shared, answer{err: unknown()})
	<-ran
	e.finish(ctx, shared.record, end)
}

// call runs, and turns a panic into an error.
func (e *Executor) call(ctx context.Context, run Run) (result []byte, outcome Outcome, err error) {
	defer func() {
		if v := recover(); v != nil {
			fault.LogPanic(ctx, e.opts.Logger, "idempotency: a run panicked", v)
			result, outcome, err = nil, Unknown, &fault.Error{Code: fault.Internal, Message: "the call failed half-way: its outcome is unknown", Outcome: fault.Unknown}
		}
	}()
	return run(ctx)
}

// conclude derives from a run's outcome the record, the first caller's answer, and the other
// callers' answer.
func conclude(result []byte, outcome Outcome, err error) (end End, own, share answer) {
	switch {
	case outcome == Completed && err == nil:
		end = End{Outcome: Completed, Oversized: true}
		if packed, ok := pack(result); ok {
			end = End{Outcome: Completed, Result: packed}
		}
		return end, answer{result: result}, answer{result: result}
	case outcome == CompletedElsewhere && err == nil:
		return End{Outcome: Completed, Oversized: true}, answer{result: result}, answer{result: result}
	case outcome == NotStarted:
		return End{Outcome: NotStarted}, answer{result: result, err: err}, answer{retry: true}
	case err == nil:
		return End{Outcome: Unknown}, answer{err: unknown()}, answer{err: unknown()}
	default:
		return End{Outcome: Unknown}, answer{err: err}, answer{err: unknown()}
	}
}

// renew renews the lease until the run is over. If a run does not end with its context, renew
// stops, and returns false after a lease. Then the outcome counts as unknown.
func (e *Executor) renew(ctx context.Context, cancel context.CancelFunc, r Record, ran <-chan struct{}) bool {
	interval := r.Lease / 3
	timer := time.NewTimer(interval)
	defer timer.Stop()
	healthy := true
	for {
		select {
		case <-ran:
			return true
		case <-e.stopping.Done():
			cancel()
			return e.overrun(r, ran)
		case <-ctx.Done():
			return e.overrun(r, ran)
		case <-timer.C:
		}
		next := interval
		switch held, err := e.renewOnce(ctx, r, interval); {
		case err != nil:
			if healthy {
				e.opts.Logger.WarnContext(ctx, "idempotency: cannot renew a lease", "record", shortID(r), "error", err)
			}
			healthy, next = false, interval/3
		case !held:
			if healthy {
				e.opts.Logger.ErrorContext(ctx, "idempotency: a record under way was lost by the store and is another's now", "record", shortID(r))
			}
			healthy = false
		default:
			healthy = true
		}
		timer.Reset(next)
	}
}

// overrun waits a lease for a run whose context has ended.
func (e *Executor) overrun(r Record, ran <-chan struct{}) bool {
	timer := time.NewTimer(r.Lease)
	defer timer.Stop()
	select {
	case <-ran:
		return true
	case <-timer.C:
		return false
	}
}

// renewOnce renews within one interval.
func (e *Executor) renewOnce(ctx context.Context, r Record, interval time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, interval)
	defer cancel()
	return e.store.Renew(ctx, r)
}

// finish records an owner's outcome. It tries again for as long as a lease, and in the background if nothing was started.
func (e *Executor) finish(ctx context.Context, r Record, end End) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.Lease)
	defer cancel()
	for tries := 1; ; tries++ {
		held, err := e.store.Finish(ctx, r, end)
		switch {
		case err == nil && !held && end.Outcome != NotStarted:
			e.opts.Logger.ErrorContext(ctx, "idempotency: an outcome was not recorded, as the store lost the record and it is another's now", "record", shortID(r))
			return
		case err == nil:
			return
		case e.sleep(ctx, backoff.Exponential(firstPause, maxPause, tries-1)):
		case end.Outcome == NotStarted:
			e.release(r)
			return
		default:
			e.opts.Logger.ErrorContext(ctx, "idempotency: an outcome was not recorded and will count as unknown", "record", shortID(r), "tries", tries, "error", err)
			return
		}
	}
}

// sleep pauses. It returns false if ctx ended or Close gave up.
func (e *Executor) sleep(ctx context.Context, d time.Duration) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.stopping, cancel)() //nolint:contextcheck // Close ends every wait
	return backoff.Wait(ctx, d)
}

// shortID is the beginning of a record's name, which finds its lines in a log.
func shortID(r Record) slog.Value { return slog.StringValue(r.ID[:min(12, len(r.ID))]) }
