package graphqlhttp

import (
	"context"
	"net/http"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/fault"
)

// RefusedTokenError reports that the Verifier rejects a console token. Clients may send a
// stale token with signIn, which needs no credentials. Such a caller is anonymous, and is
// refused unless the operation only signs in.
type RefusedTokenError struct{ Err error }

// Error returns the text of the Verifier's error.
func (e *RefusedTokenError) Error() string { return e.Err.Error() }

// Unwrap returns the Verifier's error.
func (e *RefusedTokenError) Unwrap() error { return e.Err }

type refusalKey struct{}

// WithRefusal returns ctx for a caller whose token is rejected; nil removes the refusal.
func WithRefusal(ctx context.Context, refused *RefusedTokenError) context.Context {
	return context.WithValue(ctx, refusalKey{}, refused)
}

// RefusalOf returns the reason why the caller's token is rejected; nil: it is not.
func RefusalOf(ctx context.Context) *RefusedTokenError {
	refused, _ := ctx.Value(refusalKey{}).(*RefusedTokenError)
	return refused
}

// RefuseCredentials answers a request with unusable credentials. The fault is the caller's,
// unless the gateway could not verify them.
func RefuseCredentials(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusUnauthorized
	if fault.CodeOf(err) == fault.Unauthenticated {
		w.Header().Set("WWW-Authenticate", "Bearer")
	} else {
		status = http.StatusServiceUnavailable
	}
	accesslog.FromContext(r.Context()).Refused(string(fault.CodeOf(err)))
	WriteErrorAs(w, AnswerType(r), status, err)
}
