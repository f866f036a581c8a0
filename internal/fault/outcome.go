package fault

import (
	"context"
	"errors"
)

// Outcome is the value of extensions.outcome of an error of a mutation: what became of the change at the console
// (GraphQL contract, section Errors).
type Outcome string

// The outcomes, each with what it tells a caller.
const (
	// NotSent: nothing that changes anything reached the console. The mutation can be repeated.
	NotSent Outcome = "NOT_SENT"
	// Refused: the console refused the change and did nothing.
	Refused Outcome = "REFUSED"
	// Done: the console made the change, and what followed failed. The mutation must not be repeated.
	Done Outcome = "DONE"
	// Unknown: the console may have made the change or not. A caller has to look before it repeats the mutation.
	Unknown Outcome = "UNKNOWN"
)

// outcomeError is an error whose outcome is known.
type outcomeError struct {
	error
	outcome Outcome
}

// Unwrap returns the error itself.
func (e *outcomeError) Unwrap() error { return e.error }

// FaultOutcome returns the outcome, for OutcomeOf.
func (e *outcomeError) FaultOutcome() Outcome { return e.outcome }

// WithOutcome returns err with an outcome that OutcomeOf finds before any other in err's chain; nil where err is nil.
func WithOutcome(err error, outcome Outcome) error {
	if err == nil {
		return nil
	}
	return &outcomeError{err, outcome}
}

// FaultOutcome returns what became of a change that failed with e, for OutcomeOf: what e says itself, else what its cause
// says. An error of the gateway's own without such a cause kept the change from being sent.
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

// OutcomeOf says what became of a change that failed with err. It decides this for the callers of the graph and for
// idempotency keys alike: the FaultOutcome() of the first error in err's chain that has one, else Unknown.
func OutcomeOf(err error) Outcome {
	outcome, _ := outcomeIn(err)
	return outcome
}

// outcomeIn is the outcome that err's chain tells, and whether it tells any. A context that ended tells that the outcome
// is unknown.
func outcomeIn(err error) (_ Outcome, told bool) {
	var known interface{ FaultOutcome() Outcome }
	if errors.As(err, &known) {
		return known.FaultOutcome(), true
	}
	return Unknown, errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
