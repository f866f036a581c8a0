package idempotency

import (
	"context"
	"errors"
	"time"

	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/fault"
)

// claimRecord claims the record, waits while another owner runs, and starts the run if the
// claim succeeds.
func (e *Executor) claimRecord(ctx context.Context, shared *sharedRun, run Run) {
	for tries := 0; ; tries++ {
		claim, err := e.claim(ctx, shared.record)
		if err != nil {
			e.failClaim(ctx, shared, err)
			return
		}
		switch claim.Status {
		case Claimed:
			e.start(ctx, shared, run)
			return
		case Pending:
			if e.sleep(ctx, backoff.Exponential(firstPause, maxPause, tries)) {
				continue
			}
			if ctx.Err() != nil {
				e.finishWith(shared, answer{retry: true})
			} else {
				e.finishWith(shared, answer{err: shuttingDown(fault.Unknown)})
			}
			return
		default:
			e.finishWith(shared, finishedAnswer(claim))
			return
		}
	}
}

const (
	// claimTimeout bounds a claim. A later answer of the store may be obsolete.
	claimTimeout = time.Second
	// claimPause is for how long nothing is claimed after a claim that took that long. Each call
	// would time out.
	claimPause = time.Second
)

// errPaused is the error of a claim that was not sent.
var errPaused = errors.New("idempotency: the store did not answer a moment ago")

func (e *Executor) claim(ctx context.Context, r Record) (Claim, error) {
	if !e.pause.Ended() {
		return Claim{}, errPaused
	}
	bounded, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	c, err := e.store.Claim(bounded, r)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		e.pause.Start(claimPause)
	}
	return c, err
}

// finishedAnswer is the answer for a finished record.
func finishedAnswer(c Claim) answer {
	switch c.Status {
	case Done:
		if result, err := unpack(c.Result); err == nil {
			return answer{result: result}
		}
		return answer{err: tooLarge()} // of a key that this process does not have
	case Oversized:
		return answer{err: tooLarge()}
	case Lost:
		return answer{err: unknown()}
	case InputMismatch:
		return answer{err: failure(fault.Conflict, fault.NotSent, ErrOtherInput)}
	default:
		return answer{err: fault.New(fault.Internal, "idempotency: a record stands at %d", c.Status)}
	}
}

// tooLarge is the error if the result of the run was not kept.
func tooLarge() error { return failure(fault.UpstreamInvalidResponse, fault.Done, ErrTooLarge) }

// unknown is the error if the outcome of the run is unknown.
func unknown() error { return failure(fault.Conflict, fault.Unknown, ErrUnknown) }

// failure makes an error with a code and an outcome.
func failure(code fault.Code, outcome fault.Outcome, text error) error {
	return &fault.Error{Code: code, Message: text.Error(), Outcome: outcome, Err: text}
}

// failClaim ends a run whose claim failed. Nothing runs. The claim may have succeeded with its
// answer lost, so it is released.
func (e *Executor) failClaim(ctx context.Context, shared *sharedRun, err error) {
	var refused *fault.Error
	switch {
	case errors.As(err, &refused):
		e.finishWith(shared, answer{err: err})
		return
	case ctx.Err() != nil:
		e.finishWith(shared, answer{retry: true})
	case errors.Is(err, errPaused):
		e.finishWith(shared, answer{err: storeUnavailable(err)})
		return
	default:
		e.opts.Logger.WarnContext(ctx, "idempotency: cannot claim a record, so nothing is run", "record", shortID(shared.record), "error", err)
		e.finishWith(shared, answer{err: storeUnavailable(err)})
	}
	e.release(shared.record)
}

// storeUnavailable is the error of a call that could not claim its record.
func storeUnavailable(err error) error {
	return &fault.Error{
		Code:       fault.UpstreamUnavailable,
		Message:    "the store of idempotency keys cannot be reached, so nothing was started: ask again with the same idempotencyKey",
		Outcome:    fault.NotSent,
		RetryAfter: claimPause,
		Err:        err,
	}
}
