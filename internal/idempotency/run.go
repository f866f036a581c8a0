package idempotency

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/fault"
)

const (
	// firstPause and maxPause bound the pauses between two looks at a record, and
	// between two tries to write one.
	firstPause = 20 * time.Millisecond
	maxPause   = 500 * time.Millisecond
	// recordWait is how long the answer of a run that is over waits to be recorded.
	recordWait = time.Second
	// maxReleases bounds how many doubtful claims are taken back at a time. Those
	// beyond it are left to their lease: unknown, not free.
	maxReleases = 64
)

// flightKey names what callers of one process wait for together. Another input is
// another flight, as the store alone decides which of two inputs came first.
type flightKey struct{ id, input string }

// flight is one call in this process and all who wait for it: first a claim, and
// if that succeeds, a run. It is no flight.Call, because the claim ends with its first
// caller, the run ends with none, and the first caller and the others get different answers.
type flight struct {
	at     flightKey
	record Record

	known chan struct{} // closed once own and share are set
	kept  chan struct{} // closed once the flight needs the store no more
	once  sync.Once     // sets own and share
	own   answer        // for the caller who leads
	share answer        // for everybody else
}

// setAnswers sets the flight's answers, unless they are set.
func (f *flight) setAnswers(own, share answer) {
	f.once.Do(func() {
		f.own, f.share = own, share
		close(f.known)
	})
}

// answer is what a caller gets.
type answer struct {
	result []byte
	err    error
	again  bool // nothing was started on the caller's behalf: it may claim itself
}

// join returns the flight under way, or a new one for the caller to lead.
func (k *Executor) join(at flightKey) (_ *flight, first bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f := k.flights[at]; f != nil {
		return f, false
	}
	f := &flight{
		at: at,
		record: Record{
			ID: at.id, Input: at.input, Owner: newOwner(),
			Lease: k.opts.Lease, Retention: k.opts.Retention,
		},
		known: make(chan struct{}),
		kept:  make(chan struct{}),
	}
	k.flights[at] = f
	return f, true
}

// wait returns the flight's answer; false when ctx ended before there was one. An
// answer waits a moment for its record, so that what a caller was told is not
// unknown to the next one; but an answer that is known is given.
func (f *flight) wait(ctx context.Context, first bool) (answer, bool) {
	select {
	case <-f.known:
	case <-ctx.Done():
		select {
		case <-f.known:
		default:
			return answer{}, false
		}
	}
	timer := time.NewTimer(recordWait)
	defer timer.Stop()
	select {
	case <-f.kept:
	case <-timer.C:
	case <-ctx.Done():
	}
	if first {
		return f.own, true
	}
	return f.share, true
}

// complete ends a flight: whoever comes now begins another.
func (k *Executor) complete(f *flight) {
	k.mu.Lock()
	delete(k.flights, f.at)
	k.mu.Unlock()
	close(f.kept)
}

// finishWith ends a flight without a run: one answer for all.
func (k *Executor) finishWith(f *flight, a answer) {
	f.setAnswers(a, a)
	k.complete(f)
}

// claimRecord claims the flight's record, waiting for another owner's run if there is
// one, and starts the run if the claim succeeds.
func (k *Executor) claimRecord(ctx context.Context, f *flight, run Run) {
	for tries := 0; ; tries++ {
		claim, err := k.claim(ctx, f.record)
		if err != nil {
			k.failClaim(ctx, f, err)
			return
		}
		switch claim.Status {
		case Claimed:
			k.start(ctx, f, run)
			return
		case Pending:
			if k.sleep(ctx, backoff.Exponential(firstPause, maxPause, tries)) {
				continue
			}
			if ctx.Err() != nil {
				k.finishWith(f, answer{again: true})
			} else {
				k.finishWith(f, answer{err: shuttingDown(fault.Unknown)})
			}
			return
		default:
			k.finishWith(f, settled(claim))
			return
		}
	}
}

// claimTimeout bounds a claim. What a store says later may not be so any more.
const claimTimeout = time.Second

func (k *Executor) claim(ctx context.Context, r Record) (Claim, error) {
	ctx, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	return k.store.Claim(ctx, r)
}

// settled is the answer that a finished record gives.
func settled(c Claim) answer {
	switch c.Status {
	case Done:
		return answer{result: c.Result}
	case Oversized:
		return answer{err: failure(fault.UpstreamInvalidResponse, fault.Done, ErrTooLarge)}
	case Lost:
		return answer{err: unknown()}
	case Foreign:
		return answer{err: failure(fault.Conflict, fault.NotSent, ErrOtherInput)}
	default:
		return answer{err: fault.New(fault.Internal, "idempotency: a record stands at %d", c.Status)}
	}
}

// unknown is the answer where nobody knows what became of the run.
func unknown() error { return failure(fault.Conflict, fault.Unknown, ErrUnknown) }

// failure makes an error with a code of a text that tells the outcome.
func failure(code fault.Code, outcome fault.Outcome, text error) error {
	return &fault.Error{Code: code, Message: text.Error(), Outcome: outcome, Err: text}
}

// failClaim ends a flight whose claim failed. Nothing runs; but the claim may have
// arrived and only its answer got lost, so it is taken back.
func (k *Executor) failClaim(ctx context.Context, f *flight, err error) {
	var refused *fault.Error
	switch {
	case errors.As(err, &refused):
		k.finishWith(f, answer{err: err})
		return
	case ctx.Err() != nil:
		k.finishWith(f, answer{again: true})
	default:
		k.opts.Logger.WarnContext(ctx, "idempotency: cannot claim a record, so nothing is run", "record", short(f.record), "error", err)
		k.finishWith(f, answer{err: &fault.Error{
			Code:    fault.UpstreamUnavailable,
			Message: "the store of idempotency keys cannot be reached, so nothing was started: ask again with the same idempotencyKey",
			Outcome: fault.NotSent,
			Err:     err,
		}})
	}
	k.release(ctx, f.record)
}

// release gives a record back beside everything else: nothing was run for it.
func (k *Executor) release(ctx context.Context, r Record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.releases == maxReleases {
		return
	}
	k.releases++
	k.tasks.Go(func() {
		k.finish(ctx, r, End{Outcome: NotStarted})
		k.mu.Lock()
		defer k.mu.Unlock()
		k.releases--
	})
}

// start lets a claimed flight run, apart from the caller who began it. For a
// caller who has gone in the meantime, nothing is begun.
func (k *Executor) start(ctx context.Context, f *flight, run Run) {
	if ctx.Err() != nil {
		f.setAnswers(answer{again: true}, answer{again: true})
		k.tasks.Go(func() {
			k.finish(ctx, f.record, End{Outcome: NotStarted})
			k.complete(f)
		})
		return
	}
	k.tasks.Go(func() {
		runCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.opts.RunTimeout)
		defer cancel()
		k.run(runCtx, cancel, f, run)
	})
}

// run runs, keeps the lease meanwhile, and records how it ended.
func (k *Executor) run(ctx context.Context, cancel context.CancelFunc, f *flight, run Run) {
	ran := make(chan struct{})
	var end End
	go func() {
		defer close(ran)
		// Told if the run ends its goroutine instead of returning, too.
		own, share := answer{err: unknown()}, answer{err: unknown()}
		defer func() { f.setAnswers(own, share) }()
		result, outcome, err := k.call(ctx, run)
		end, own, share = conclude(result, outcome, err)
	}()
	if k.renew(ctx, cancel, f.record, ran) {
		k.finish(ctx, f.record, end)
		k.complete(f)
		return
	}
	k.finishWith(f, answer{err: unknown()})
	<-ran
	k.finish(ctx, f.record, end)
}

// call runs, with a panic as an error. The panic's value is not told, as nobody
// knows what is in it.
func (k *Executor) call(ctx context.Context, run Run) (result []byte, outcome Outcome, err error) {
	defer func() {
		if v := recover(); v != nil {
			k.opts.Logger.ErrorContext(ctx, "idempotency: a run panicked", "type", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
			result, outcome, err = nil, Unknown, &fault.Error{Code: fault.Internal, Message: "the call failed half-way: its outcome is unknown", Outcome: fault.Unknown}
		}
	}()
	return run(ctx)
}

// conclude is what a run's outcome means to the record, to the caller whose run
// it was, and to everybody else.
func conclude(result []byte, outcome Outcome, err error) (end End, own, share answer) {
	switch {
	case outcome == Completed && err == nil:
		// The caller's slice is the caller's; this one is read while it is stored.
		result = bytes.Clone(result)
		end = End{Outcome: Completed, Result: result}
		if len(result) > MaxResult {
			end = End{Outcome: Completed, Oversized: true}
		}
		return end, answer{result: result}, answer{result: result}
	case outcome == NotStarted:
		return End{Outcome: NotStarted}, answer{result: result, err: err}, answer{again: true}
	case err == nil:
		return End{Outcome: Unknown}, answer{err: unknown()}, answer{err: unknown()}
	default:
		return End{Outcome: Unknown}, answer{err: err}, answer{err: unknown()}
	}
}

// renew shows that the owner lives until the run is over. For a run that does not
// end with its context it stops doing so, and returns false after a lease: then
// its outcome counts as unknown.
func (k *Executor) renew(ctx context.Context, cancel context.CancelFunc, r Record, ran <-chan struct{}) bool {
	beat := r.Lease / 3
	timer := time.NewTimer(beat)
	defer timer.Stop()
	healthy := true
	for {
		select {
		case <-ran:
			return true
		case <-k.stopping.Done():
			cancel()
			return k.overrun(r, ran)
		case <-ctx.Done():
			return k.overrun(r, ran)
		case <-timer.C:
		}
		next := beat
		switch held, err := k.renewOnce(ctx, r, beat); {
		case err != nil:
			if healthy {
				k.opts.Logger.WarnContext(ctx, "idempotency: cannot renew a lease", "record", short(r), "error", err)
			}
			healthy, next = false, beat/3
		case !held:
			if healthy {
				k.opts.Logger.ErrorContext(ctx, "idempotency: a record under way was lost by the store and is another's now", "record", short(r))
			}
			healthy = false
		default:
			healthy = true
		}
		timer.Reset(next)
	}
}

// overrun waits a lease for a run whose context has ended.
func (k *Executor) overrun(r Record, ran <-chan struct{}) bool {
	timer := time.NewTimer(r.Lease)
	defer timer.Stop()
	select {
	case <-ran:
		return true
	case <-timer.C:
		return false
	}
}

// renewOnce renews within the time of one beat.
func (k *Executor) renewOnce(ctx context.Context, r Record, beat time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, beat)
	defer cancel()
	return k.store.Renew(ctx, r)
}

// finish writes an owner's last word, and tries again for as long as a lease.
func (k *Executor) finish(ctx context.Context, r Record, end End) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.Lease)
	defer cancel()
	for tries := 1; ; tries++ {
		held, err := k.store.Finish(ctx, r, end)
		switch {
		case err == nil && !held && end.Outcome != NotStarted:
			k.opts.Logger.ErrorContext(ctx, "idempotency: an outcome was not recorded, as the store lost the record and it is another's now", "record", short(r))
			return
		case err == nil:
			return
		case !k.sleep(ctx, backoff.Exponential(firstPause, maxPause, tries-1)):
			k.opts.Logger.ErrorContext(ctx, "idempotency: an outcome was not recorded and will count as unknown", "record", short(r), "tries", tries, "error", err)
			return
		}
	}
}

// sleep pauses; false when ctx ended or Close no longer waits.
func (k *Executor) sleep(ctx context.Context, d time.Duration) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(k.stopping, cancel)() //nolint:contextcheck // Close ends every wait
	return backoff.Wait(ctx, d)
}

// short is enough of a record's name to find its lines in a log.
func short(r Record) slog.Value { return slog.StringValue(r.ID[:min(12, len(r.ID))]) }
