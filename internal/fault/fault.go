// Package fault defines the errors that callers of the gateway see: the codes of docs/errors.md, and an error that
// carries one.
package fault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	"unicode"

	"github.com/vektah/gqlparser/v2/ast"
)

// Code is the value of extensions.code of a GraphQL error.
type Code string

// The codes and what each means to a caller.
const (
	// Unauthenticated: the credentials are missing, invalid or no longer accepted.
	Unauthenticated Code = "UNAUTHENTICATED"
	// Forbidden: the principal is known and may not do this.
	Forbidden Code = "FORBIDDEN"
	// NotFound: the named entity does not exist in this scope.
	NotFound Code = "NOT_FOUND"
	// BadUserInput: an argument is wrong; repeating the request does not help.
	BadUserInput Code = "BAD_USER_INPUT"
	// ScopeRequired: the request names no company or department, and there is no default.
	ScopeRequired Code = "SCOPE_REQUIRED"
	// Conflict: the entity has changed meanwhile, or an idempotency key was used with other input.
	Conflict Code = "CONFLICT"
	// RateLimited: too many requests; later ones may succeed.
	RateLimited Code = "RATE_LIMITED"
	// UpstreamUnavailable: the console is unreachable, or it failed.
	UpstreamUnavailable Code = "UPSTREAM_UNAVAILABLE"
	// UpstreamTimeout: the console did not answer in time.
	UpstreamTimeout Code = "UPSTREAM_TIMEOUT"
	// UpstreamInvalidResponse: the console's response cannot be decoded, or is too large.
	UpstreamInvalidResponse Code = "UPSTREAM_INVALID_RESPONSE"
	// QueryTooComplex: the operation costs more than the limit.
	QueryTooComplex Code = "QUERY_TOO_COMPLEX"
	// QueryTooDeep: the operation nests deeper than the limit.
	QueryTooDeep Code = "QUERY_TOO_DEEP"
	// PersistedQueryNotFound: the id or hash of a document is unknown; the client must send the text too.
	PersistedQueryNotFound Code = "PERSISTED_QUERY_NOT_FOUND"
	// DocumentNotTrusted: only trusted documents run, and the text is none.
	DocumentNotTrusted Code = "DOCUMENT_NOT_TRUSTED"
	// ValidationFailed: the operation does not match the schema.
	ValidationFailed Code = "GRAPHQL_VALIDATION_FAILED"
	// ParseFailed: the operation is not GraphQL.
	ParseFailed Code = "GRAPHQL_PARSE_FAILED"
	// Internal: any other error; its details go to the operator's log only.
	Internal Code = "INTERNAL"
)

// Error is an error with a code and a message that a caller may read.
type Error struct {
	Code    Code
	Message string
	// Argument is the path of the wrong argument, such as "input.priority". It is empty if there is none.
	Argument string
	// Outcome is the outcome of the failed mutation, if Message states it as well; see OutcomeOf.
	Outcome Outcome
	// RetryAfter is how long to wait before the next attempt, in whole seconds; 0: unknown.
	RetryAfter time.Duration
	// Err is the cause, for logs. It may be nil and is not part of the message.
	Err error
}

// Error returns the message, preceded by the path of the wrong argument if there is one.
func (e *Error) Error() string {
	if e.Argument != "" {
		return e.Argument + ": " + e.Message
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// FaultCode returns the code, for CodeOf.
func (e *Error) FaultCode() Code { return e.Code }

// New returns an error with the given code. A %w in the format also sets the cause.
func New(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// Busy returns a RATE_LIMITED error for work that the gateway has no room for. Callers wait between one and three seconds,
// at random, so that those that were refused together do not return together.
func Busy(format string, args ...any) *Error {
	e := New(RateLimited, format, args...)
	e.RetryAfter = Soon()
	return e
}

// Soon returns one, two or three seconds at random.
func Soon() time.Duration {
	return time.Duration(1+rand.IntN(3)) * time.Second //nolint:gosec // spreads attempts, protects no secret
}

// BadInput returns a BAD_USER_INPUT error about the argument at the given path; empty: about no particular one.
func BadInput(argument, format string, args ...any) *Error {
	e := New(BadUserInput, format, args...)
	e.Argument = argument
	return e
}

// CheckLine refuses a text of one line that is longer than maxBytes or has control characters.
func CheckLine(argument, text string, maxBytes int) error {
	if len(text) > maxBytes {
		return BadInput(argument, "is longer than %d bytes", maxBytes)
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return BadInput(argument, "holds a control character")
	}
	return nil
}

// ArgumentAt formats the path of an argument, or of a part of one, in the form of Error.Argument.
func ArgumentAt(p ast.Path) string {
	names := make([]string, len(p))
	for i, element := range p {
		names[i] = fmt.Sprint(element)
	}
	return strings.Join(names, ".")
}

// CodeOf returns the code of the first error in err's chain that implements FaultCode. Otherwise it returns
// UPSTREAM_TIMEOUT for an exceeded deadline, and INTERNAL for anything else. For nil it returns the empty code.
func CodeOf(err error) Code {
	if err == nil {
		return "" // returns early, because the walk below allocates
	}
	var coded interface{ FaultCode() Code }
	switch {
	case errors.As(err, &coded):
		return coded.FaultCode()
	case errors.Is(err, context.DeadlineExceeded):
		return UpstreamTimeout
	default:
		return Internal
	}
}
