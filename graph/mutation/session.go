package mutation

import (
	"context"
	"log/slog"
	"time"

	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/internal/audit"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/tokencache"
)

// Bounds of the credentials that are sent to the console's SSO.
const (
	maxUsername = 256
	maxPassword = 1024
)

// Sessions starts and ends sessions; *tokencache.Cache implements it.
type Sessions interface {
	SignIn(ctx context.Context, username, password string) (tokencache.Session, error)
	SignOut(ctx context.Context) error
}

// Cache holds console answers; *cachedconsole.Console implements it.
type Cache interface {
	// Forget removes those of the principal in ctx.
	Forget(ctx context.Context)
}

// SignInInput is a user's login to the console.
type SignInInput struct{ Username, Password string }

// LogValue keeps the password out of logs.
func (SignInInput) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// String keeps the password out of printed values.
func (SignInInput) String() string { return "[redacted]" }

// GoString keeps the password out of %#v.
func (SignInInput) GoString() string { return "[redacted]" }

// SessionService executes the mutations signIn and signOut.
type SessionService struct {
	Sessions Sessions
	Cache    Cache
}

// SignIn starts a session. The payload is read as the new session's principal.
func (s SessionService) SignIn(ctx context.Context, in SignInInput) (*SignInPayload, error) {
	l, change := loader.FromContext(ctx), audit.FromContext(ctx)
	if err := l.Refusal(); err != nil {
		return nil, change.Refuse(err)
	}
	defer change.End(errPanicked()) // only the first End counts
	session, err := s.Sessions.SignIn(ctx, in.Username, in.Password)
	if err != nil {
		err = fault.WithOutcome(err, signInOutcome(err))
		change.End(err)
		return nil, err
	}
	change.SignedIn(principal.FromSession(session.Token), in.Username)
	change.End(nil)
	payload := &SignInPayload{SessionToken: session.Token, ExpiresAt: cc.DateTime(session.Expires.UTC().Format(time.RFC3339))}
	l.SetPrincipal(principal.FromSession(session.Token))
	l.LookAheadPayload(ctx, payload)
	return payload, nil
}

// SignOut ends the caller's session and removes its cached answers.
func (s SessionService) SignOut(ctx context.Context) (*SignOutPayload, error) {
	change := audit.FromContext(ctx)
	if err := loader.FromContext(ctx).Refusal(); err != nil {
		return nil, change.Refuse(err)
	}
	err := s.Sessions.SignOut(ctx)
	if fault.CodeOf(err) != fault.Unauthenticated { // without a session, signOut succeeds
		s.Cache.Forget(ctx) // the session may have ended despite the error
	}
	switch {
	case fault.CodeOf(err) == fault.Unauthenticated:
		return nil, change.Refuse(err)
	case err != nil:
		err = fault.WithOutcome(err, fault.Unknown)
		change.End(err)
		return nil, err
	}
	change.End(nil)
	return &SignOutPayload{Ok: true}, nil
}

// signInOutcome returns the outcome of a failed sign-in. The SSO refuses wrong passwords and
// locked accounts, and the gateway remembers such refusals.
func signInOutcome(err error) fault.Outcome {
	switch fault.CodeOf(err) {
	case fault.Unauthenticated, fault.Forbidden:
		return fault.Refused
	default:
		return fault.OutcomeOf(err)
	}
}

func checkSignIn(in SignInInput) error {
	var c checks
	c.name("input.username", &in.Username)
	switch {
	case c.err != nil:
		return c.err
	case len(in.Username) > maxUsername:
		return fault.BadInput("input.username", "has more than %d bytes", maxUsername)
	case in.Password == "":
		return fault.BadInput("input.password", "is empty")
	case len(in.Password) > maxPassword:
		return fault.BadInput("input.password", "has more than %d bytes", maxPassword)
	}
	return nil
}

// SignInPayload is a new session.
type SignInPayload struct {
	SessionToken string
	ExpiresAt    cc.DateTime
}

// SignOutPayload is an ended session.
type SignOutPayload struct{ Ok bool }

// LogValue keeps the session token out of logs.
func (SignInPayload) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// sessionInputs decode and check the input of each mutation of this file.
func sessionInputs() map[string]inputCheck {
	return map[string]inputCheck{
		"signIn": input("SignInInput", checkSignIn),
	}
}
