package edge

import (
	"context"
	"net/http"

	"github.com/consoleql/consoleql/internal/fault"
)

// refusedTokenError is why the Verifier does not accept a console token. Clients send a stale one beside signIn, which
// needs no credentials: the caller counts as nobody, and is refused unless the operation only signs in.
type refusedTokenError struct{ err error }

// Error returns the text of the Verifier's error.
func (e *refusedTokenError) Error() string { return e.err.Error() }

// Unwrap returns the Verifier's error.
func (e *refusedTokenError) Unwrap() error { return e.err }

type refusalKey struct{}

// withRefusal is ctx of a caller whose token is refused; nil: it is not, or no longer of interest.
func withRefusal(ctx context.Context, refused *refusedTokenError) context.Context {
	return context.WithValue(ctx, refusalKey{}, refused)
}

// refusalOf is why the token of the caller in ctx is refused; nil: it is not.
func refusalOf(ctx context.Context) *refusedTokenError {
	refused, _ := ctx.Value(refusalKey{}).(*refusedTokenError)
	return refused
}

// refuseCredentials answers a request whose credentials cannot be used: it is the
// caller's matter, unless the gateway could not find out.
func refuseCredentials(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusUnauthorized
	if fault.CodeOf(err) == fault.Unauthenticated {
		w.Header().Set("WWW-Authenticate", "Bearer")
	} else {
		status = http.StatusServiceUnavailable
	}
	writeErrorAs(w, answerType(r), status, err)
}
