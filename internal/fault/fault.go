// Package fault is the vocabulary of errors that callers of the gateway see: the codes of its GraphQL contract, and an
// error that carries one.
package fault

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// Code is the value of extensions.code of a GraphQL error.
type Code string

// The codes, each with what it tells a caller.
const (
	// Unauthenticated: no credentials, or ones that are not (or no longer) accepted.
	Unauthenticated Code = "UNAUTHENTICATED"
	// Forbidden: the principal is known and may not do this.
	Forbidden Code = "FORBIDDEN"
	// NotFound: the thing that was named does not exist in this scope.
	NotFound Code = "NOT_FOUND"
	// BadUserInput: an argument is wrong; asking again will not help.
	BadUserInput Code = "BAD_USER_INPUT"
	// ScopeRequired: no company or department is known for the request.
	ScopeRequired Code = "SCOPE_REQUIRED"
	// Conflict: the thing changed in between, or an idempotency key was used for something else.
	Conflict Code = "CONFLICT"
	// RateLimited: too many requests; later ones may succeed.
	RateLimited Code = "RATE_LIMITED"
	// UpstreamUnavailable: the console cannot be reached, or failed.
	UpstreamUnavailable Code = "UPSTREAM_UNAVAILABLE"
	// UpstreamTimeout: the console did not answer in time.
	UpstreamTimeout Code = "UPSTREAM_TIMEOUT"
	// UpstreamInvalidResponse: the console's answer cannot be understood, or is too large.
	UpstreamInvalidResponse Code = "UPSTREAM_INVALID_RESPONSE"
	// QueryTooComplex: the operation would cost more than one operation may.
	QueryTooComplex Code = "QUERY_TOO_COMPLEX"
	// QueryTooDeep: the operation nests deeper than one operation may.
	QueryTooDeep Code = "QUERY_TOO_DEEP"
	// PersistedQueryNotFound: the hash of a persisted query is not known; send the text along.
	PersistedQueryNotFound Code = "PERSISTED_QUERY_NOT_FOUND"
	// ValidationFailed: the operation does not fit the schema.
	ValidationFailed Code = "GRAPHQL_VALIDATION_FAILED"
	// ParseFailed: the operation is not GraphQL.
	ParseFailed Code = "GRAPHQL_PARSE_FAILED"
	// Internal: everything else; its details are for the operator's log only.
	Internal Code = "INTERNAL"
)

// Error is an error with a code and a message that a caller may read.
type Error struct {
	Code    Code
	Message string
	// Argument is the path of the argument at fault, such as "input.priority"; empty where there is none.
	Argument string
	// Outcome is what became of a mutation that fails with this error, where Message says it as well; see OutcomeOf.
	Outcome Outcome
	// Err is the cause, for logs; it may be nil and is not part of the message.
	Err error
}

// Error returns the message, led by the argument at fault where there is one.
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

// New makes an error with the given code. A %w in the format becomes the cause as well.
func New(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// BadInput makes a BAD_USER_INPUT error about the argument at the given path (empty: no particular one).
func BadInput(argument, format string, args ...any) *Error {
	e := New(BadUserInput, format, args...)
	e.Argument = argument
	return e
}

// ArgumentAt writes a path that leads from a field to an argument, or into one, as Error.Argument has it.
func ArgumentAt(p ast.Path) string {
	names := make([]string, len(p))
	for i, element := range p {
		names[i] = fmt.Sprint(element)
	}
	return strings.Join(names, ".")
}

// CodeOf returns the code of the first error in err's chain that has one: FaultCode() of whatever implements it, else
// UPSTREAM_TIMEOUT for an exceeded deadline, else INTERNAL. Of nil it is the empty code.
func CodeOf(err error) Code {
	if err == nil {
		return "" // before what an error in a chain is put into, which is memory of its own
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
