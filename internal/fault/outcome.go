package fault

import (
	"context"
	"errors"
)

// Outcome is the value of extensions.outcome of a mutation's error: whether the console made the change
// (docs/errors.md).
type Outcome string

// The outcomes and what each means to a caller.
const (
	// NotSent: the console received no request that changes anything. The mutation can be repeated.
	NotSent Outcome = "NOT_SENT"
	// Refused: the console refused the change and made none of it.
	Refused Outcome = "REFUSED"
	// Done: the console made the change, and a later step failed. The mutation must not be repeated.
	Done Outcome = "DONE"
	// Unknown: the console may have made the change or not. The caller must check before repeating the mutation.
	Unknown Outcome = "UNKNOWN"
)

// outcomeError is an error whose outcome is known.
type outcomeError struct {
	error
	outcome Outcome
}

// Unwrap returns the wrapped error.
func (e *outcomeError) Unwrap() error { return e.error }

// FaultOutcome returns the outcome, for OutcomeOf.
func (e *outcomeError) FaultOutcome() Outcome { return e.outcome }

// WithOutcome wraps err with an outcome. OutcomeOf finds it before any other in err's chain. It returns nil for a nil
// err.
func WithOutcome(err error, outcome Outcome) error {
	if err == nil {
		return nil
	}
	return &outcomeError{err, outcome}
}

// FaultOutcome returns the outcome of a change that failed with e: its own, or else its cause's. An error of the
// gateway without such a cause means that the change was not sent.
func (e *Error) FaultOutcome() Outcome {
	switch {
	case e.Outcome != "":
		return e.Outcome
	case e.Code == Internal:
		return Unknown
	}
	if outcome, ok := outcomeIn(e.Err); ok {
		return outcome
	}
	return NotSent
}

// OutcomeOf returns the outcome of a change that failed with err. GraphQL errors and idempotency keys both use it. It
// is the FaultOutcome of the first error in err's chain that has one, else Unknown.
func OutcomeOf(err error) Outcome {
	outcome, _ := outcomeIn(err)
	return outcome
}

// outcomeIn returns the outcome in err's chain, and whether there is one. For an ended context the outcome is Unknown.
func outcomeIn(err error) (_ Outcome, ok bool) {
	var known interface{ FaultOutcome() Outcome }
	if errors.As(err, &known) {
		return known.FaultOutcome(), true
	}
	return Unknown, errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
