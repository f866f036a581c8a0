package mutation

import (
	"context"
	"log/slog"
	"time"

	"github.com/consoleql/consoleql/graph/loader"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/tokencache"
)

// The bounds of what is passed on to the console's SSO.
const (
	maxUsername = 256
	maxPassword = 1024
)

// Sessions begin and end; *tokencache.Cache keeps them.
type Sessions interface {
	SignIn(ctx context.Context, username, password string) (tokencache.Session, error)
	SignOut(ctx context.Context) error
}

// Cache are what is kept of the console's; *cachedconsole.Console keeps them.
type Cache interface {
	// Forget forgets those of the principal in ctx.
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

// SessionService lets users in and out: the mutations signIn and signOut.
type SessionService struct {
	Sessions Sessions
	Cache    Cache
}

// SignIn begins a session. What the payload selects is read as who has signed in.
func (d SessionService) SignIn(ctx context.Context, in SignInInput) (*SignInPayload, error) {
	l := loader.From(ctx)
	if err := l.Refusal(); err != nil {
		return nil, err
	}
	session, err := d.Sessions.SignIn(ctx, in.Username, in.Password)
	if err != nil {
		return nil, fault.WithOutcome(err, signInOutcome(err))
	}
	payload := &SignInPayload{SessionToken: session.Token, ExpiresAt: cc.DateTime(session.Expires.UTC().Format(time.RFC3339))}
	l.SetPrincipal(principal.FromSession(session.Token))
	l.PlanPayload(ctx, payload)
	return payload, nil
}

// SignOut ends the caller's session and forgets what it was answered.
func (d SessionService) SignOut(ctx context.Context) (*SignOutPayload, error) {
	if err := loader.From(ctx).Refusal(); err != nil {
		return nil, err
	}
	err := d.Sessions.SignOut(ctx)
	if fault.CodeOf(err) != fault.Unauthenticated { // else there was no session, and nobody needs to know
		d.Cache.Forget(ctx) // an error may hide that the session has been ended
	}
	switch {
	case fault.CodeOf(err) == fault.Unauthenticated:
		return nil, err
	case err != nil:
		return nil, fault.WithOutcome(err, fault.Unknown)
	}
	return &SignOutPayload{Ok: true}, nil
}

// signInOutcome is what became of a sign-in that failed. Wrong passwords and locked
// accounts are the SSO's refusals, which the gateway remembers as well.
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

// SignInPayload is a session that has begun.
type SignInPayload struct {
	SessionToken string
	ExpiresAt    cc.DateTime
}

// SignOutPayload is a session that has ended.
type SignOutPayload struct{ Ok bool }

// LogValue keeps the session token out of logs.
func (SignInPayload) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// sessionInputs decode and check the input of each mutation of this file.
func sessionInputs() map[string]inputCheck {
	return map[string]inputCheck{
		"signIn": input("SignInInput", checkSignIn),
	}
}
