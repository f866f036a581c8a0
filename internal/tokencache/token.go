package tokencache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
)

// Token is what the SSO granted (document, section Authentication).
type Token struct {
	Access  string
	Refresh string // works once; may be empty
	// Obtained is when the grant was requested; the cache sets it. Expires must count from
	// then as well, so that a token never seems younger than it is.
	Obtained time.Time
	Expires  time.Time
}

// LogValue keeps the token out of logs.
func (Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// String keeps the token out of printed values.
func (Token) String() string { return redacted }

// GoString keeps the token out of %#v.
func (Token) GoString() string { return redacted }

const redacted = "[redacted]"

// life is the token's lifetime.
func (t Token) life() time.Duration { return t.Expires.Sub(t.Obtained) }

// goodUntil is when the token is no longer returned. That is before its end, since a call
// takes time.
func (t Token) goodUntil() time.Time { return t.Expires.Add(-min(expiryMargin, t.life()/10)) }

// renewAt is when the token is renewed in the background.
func (t Token) renewAt() time.Time { return t.Expires.Add(-min(renewAhead, t.life()/5)) }

// Account is a console login.
type Account struct{ Username, Password string }

// LogValue keeps the password out of logs.
func (a Account) LogValue() slog.Value { return slog.StringValue(a.String()) }

// String keeps the password out of printed values.
func (a Account) String() string { return a.Username + ":" + redacted }

// GoString keeps the password out of %#v.
func (a Account) GoString() string { return a.String() }

// Grants are the SSO's two grants. Their errors should be *GrantError.
type Grants interface {
	Password(ctx context.Context, username, password string) (Token, error)
	Refresh(ctx context.Context, refreshToken string) (Token, error)
}

// Reason is why the SSO granted no token.
type Reason string

// The reasons.
const (
	// Refused: the password or the refresh token is wrong or no longer valid.
	Refused Reason = "refused"
	// Locked: the account is locked, and further attempts keep it locked.
	Locked Reason = "locked"
	// Unavailable: the SSO fails, not the account.
	Unavailable Reason = "unavailable"
)

// GrantError is the error of a grant.
type GrantError struct {
	Reason Reason
	// RetryAfter is the pause that the SSO asks for; 0: none.
	RetryAfter time.Duration
	// Err is the cause. Callers do not see its text.
	Err error

	// remembered says that the SSO was not asked, since it has refused the same before.
	remembered bool
}

// Error returns the reason, and nothing that was sent.
func (e *GrantError) Error() string { return fmt.Sprintf("the SSO gave no token: %s", e.Reason) }

// Unwrap returns the cause.
func (e *GrantError) Unwrap() error { return e.Err }

// grantError returns any error of a Grants as a *GrantError.
func grantError(err error) *GrantError {
	if g, ok := errors.AsType[*GrantError](err); ok {
		return g
	}
	if fault.CodeOf(err) == fault.Unauthenticated {
		return &GrantError{Reason: Refused, Err: err}
	}
	return &GrantError{Reason: Unavailable, Err: err}
}

// refusal is the error for callers whose login failed. who says whose login.
func refusal(who string, reason Reason, err error) error {
	switch reason {
	case Refused:
		return fault.New(fault.Unauthenticated, "%s cannot sign in: the console does not accept the user name and password", who)
	case Locked:
		return fault.New(fault.Forbidden, "%s cannot sign in: the console says that the account is locked", who)
	case Unavailable:
	}
	code := fault.CodeOf(err)
	switch code {
	case fault.UpstreamTimeout, fault.RateLimited, fault.UpstreamInvalidResponse:
	default:
		code = fault.UpstreamUnavailable
	}
	refused := fault.New(code, "%s cannot sign in: the console's SSO gives no answer that could be used", who)
	return fault.WithOutcome(refused, fault.OutcomeOf(err))
}

// retryAfter returns err with the time until the next attempt, if the SSO fails rather than
// the account.
func retryAfter(err error, left time.Duration) error {
	f, ok := errors.AsType[*fault.Error](err)
	if left <= 0 || !ok || f.Code == fault.Unauthenticated || f.Code == fault.Forbidden {
		return err
	}
	faultErr := *f
	faultErr.RetryAfter = left
	return fault.WithOutcome(&faultErr, fault.OutcomeOf(err))
}

// errSession is the error for callers whose session does not exist or has ended.
func errSession() error {
	return fault.New(fault.Unauthenticated, "there is no such session, or it has ended: sign in again")
}
