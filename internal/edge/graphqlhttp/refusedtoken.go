package graphqlhttp

import (
	"context"
	"net/http"

	"github.com/consoleql/consoleql/internal/fault"
)

// RefusedTokenError is why the Verifier does not accept a console token. Clients send a stale one beside signIn, which
// needs no credentials: the caller counts as nobody, and is refused unless the operation only signs in.
type RefusedTokenError struct{ Err error }

// Error returns the text of the Verifier's error.
func (e *RefusedTokenError) Error() string { return e.Err.Error() }

// Unwrap returns the Verifier's error.
func (e *RefusedTokenError) Unwrap() error { return e.Err }

type refusalKey struct{}

// WithRefusal is ctx of a caller whose token is refused; nil: it is not, or no longer of interest.
func WithRefusal(ctx context.Context, refused *RefusedTokenError) context.Context {
	return context.WithValue(ctx, refusalKey{}, refused)
}

// RefusalOf is why the token of the caller in ctx is refused; nil: it is not.
func RefusalOf(ctx context.Context) *RefusedTokenError {
	refused, _ := ctx.Value(refusalKey{}).(*RefusedTokenError)
	return refused
}

// RefuseCredentials answers a request whose credentials cannot be used: it is the
// caller's matter, unless the gateway could not find out.
func RefuseCredentials(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusUnauthorized
	if fault.CodeOf(err) == fault.Unauthenticated {
		w.Header().Set("WWW-Authenticate", "Bearer")
	} else {
		status = http.StatusServiceUnavailable
	}
	WriteErrorAs(w, AnswerType(r), status, err)
}
