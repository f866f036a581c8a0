package tokencache

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"strings"
	"time"

	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/flight"
	"github.com/consoleql/consoleql/internal/principal"
)

const (
	// sessionBytes is the length of a session token's random part.
	sessionBytes = 32
	// freeAttempts is the number of wrong passwords of a user before further attempts have to wait.
	freeAttempts = 3
)

// Session is the result of signIn.
type Session struct {
	// Token is the session token; only its hash is kept.
	Token string
	// Expires is the latest end of the session.
	Expires time.Time
}

// LogValue keeps the token out of logs.
func (Session) LogValue() slog.Value { return slog.StringValue(redacted) }

// String keeps the token out of printed values.
func (Session) String() string { return redacted }

// GoString keeps the token out of %#v.
func (Session) GoString() string { return redacted }

// SignIn begins a session with a user's name and password (document, section Authentication: get token). A wrong
// password is UNAUTHENTICATED, a locked account FORBIDDEN. After some wrong passwords of a user, attempts are
// RATE_LIMITED without a call of the SSO. Attempts are also RATE_LIMITED while too many sign-ins are running.
func (c *Cache) SignIn(ctx context.Context, username, password string) (Session, error) {
	guesses := "guesses:" + c.digest(strings.ToLower(username))
	done, err := c.signIns.Acquire(ctx, guesses) // so that each attempt knows the outcome of the one before
	if err != nil {
		return Session{}, err
	}
	call := flight.Background[Session](context.WithoutCancel(ctx)) // a wrong password counts without the caller, too
	if err := c.start(func() {
		defer done()
		call.RunLogged(c.opts.Logger, "sign-in", func(running context.Context) (Session, error) {
			running, cancel := context.WithTimeout(running, grantTimeout)
			defer cancel()
			defer context.AfterFunc(c.stop, cancel)() //nolint:contextcheck // Close ends every sign-in
			return c.signIn(running, ctx, guesses, username, password)
		})
	}); err != nil {
		done()
		return Session{}, fault.WithOutcome(err, fault.NotSent)
	}
	return call.Wait(ctx)
}

// signIn asks the SSO for a token, and begins a session if the caller still waits.
func (c *Cache) signIn(ctx, caller context.Context, guesses, username, password string) (Session, error) {
	r, err := c.load(ctx, guesses, nil)
	if err != nil {
		return Session{}, fault.WithOutcome(noStore(err), fault.NotSent)
	}
	if wait := r.Until.Sub(c.opts.Now()); wait > 0 {
		if r.Reason == Locked {
			return Session{}, refusal("the user", Locked, nil)
		}
		return Session{}, retryAfter(fault.New(fault.RateLimited, "too many failed attempts to sign in: try again in %d s", int(wait.Seconds())+1), wait)
	}
	leave, err := c.signIns.Enter()
	if err != nil {
		return Session{}, err
	}
	token, err := c.password(ctx, username, password)
	leave()
	if err != nil {
		return Session{}, c.recordFailedSignIn(ctx, guesses, grantError(err))
	}
	if caller.Err() != nil {
		return Session{}, context.Cause(caller)
	}
	if r.Failures > 0 {
		if err := c.callStore(ctx, func(ctx context.Context) error { return c.opts.Store.End(ctx, guesses, 0) }); err != nil {
			c.opts.Logger.WarnContext(ctx, "failed attempts to sign in are not yet forgotten", "error", err)
		}
	}
	return c.beginSession(ctx, token)
}

// recordFailedSignIn counts a failed sign-in.
func (c *Cache) recordFailedSignIn(ctx context.Context, guesses string, g *GrantError) error {
	if g.Reason != Unavailable {
		f := failure(g, maxPause)
		if g.Reason == Refused {
			f.FreeFailures = freeAttempts
		}
		c.fail(ctx, guesses, "", f)
	}
	c.opts.Logger.InfoContext(ctx, "a sign-in failed", "reason", string(g.Reason), "code", fault.CodeOf(g.Err))
	return retryAfter(refusal("the user", g.Reason, g.Err), g.RetryAfter)
}

// beginSession stores a token under a new session token.
func (c *Cache) beginSession(ctx context.Context, token Token) (Session, error) {
	random := make([]byte, sessionBytes)
	_, _ = rand.Read(random) // never fails
	text := principal.SessionPrefix + base64.RawURLEncoding.EncodeToString(random)
	name := principal.FromSession(text).Name()
	e := &entry{key: c.sessionKey(name), name: name}
	revocation := c.watch(e)
	now := c.opts.Now()
	ends := now.Add(c.opts.SessionLifetime)
	if token.Refresh == "" {
		ends = earlier(ends, token.Expires)
	}
	ends = ends.Truncate(time.Second)
	generation := rand.Text()
	created := false
	if err := c.callStore(ctx, func(ctx context.Context) (err error) {
		created, err = c.opts.Store.Create(ctx, e.key, c.put(token, generation, ends))
		return err
	}); err != nil {
		return Session{}, fault.WithOutcome(noStore(err), fault.Done)
	}
	if !created { // two equal random numbers of 256 bits
		return Session{}, fault.New(fault.Internal, "no session could be made")
	}
	cached := newCachedToken(token, generation, true, ends, now)
	cached.revocation = revocation
	e.cached.Store(cached)
	c.sweep()
	c.sessions.Store(name, e)
	return Session{Token: text, Expires: ends}, nil
}

// storeAgain stores a session's token if the store still holds the one that it has replaced.
func (c *Cache) storeAgain(ctx context.Context, e *entry, t *cachedToken) error {
	return c.callStoreFor(ctx, t, func(ctx context.Context) error {
		p := c.put(t.token, t.generation, t.ends)
		p.Replaces = t.replaces
		_, err := c.opts.Store.Put(ctx, e.key, t.generation, p) // no claim has this name
		return err
	})
}

// storeLater repeats storeAgain until the store answers, so that no replica uses the old refresh token.
func (c *Cache) storeLater(e *entry, t *cachedToken) {
	for c.opts.Now().Before(t.ends) && c.storeAgain(c.stop, e, t) != nil {
		if !backoff.Wait(c.stop, backoff.Spread(shortPause, 0.2)) {
			c.opts.Logger.Warn("the gateway ends before the store has a session's new token")
			return
		}
	}
}

// sessionKey returns the name of a session's record. It contains the realm. A gateway for another console that shares
// the store must not use the session, and send the user's tokens there.
func (c *Cache) sessionKey(name string) string { return "session:" + c.digest(name) }

// noStore is the error for callers if sessions cannot be stored or read.
func noStore(err error) error {
	if code := fault.CodeOf(err); code != fault.Internal && code != fault.UpstreamTimeout {
		return err // the store's own error
	}
	return &fault.Error{Code: fault.UpstreamUnavailable, Message: "sessions cannot be kept at the moment: try again", Err: err}
}
