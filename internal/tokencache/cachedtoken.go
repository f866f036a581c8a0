package tokencache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/flight"
)

// entry is the state of a service account or a session in memory.
type entry struct {
	key     string
	name    string                // of the account, or of the session's principal
	account atomic.Pointer[login] // nil: a session
	cached  atomic.Pointer[cachedToken]

	mu          sync.Mutex
	call        *flight.Call[string] // the renewal under way; nil: none
	begun       time.Time            // when call began
	retryAt     time.Time            // there is no renewal before
	failed      error                // the error of the last renewal
	discards    int                  // refused tokens discarded in a row
	lastRefused string               // the young token that was refused last, and kept
	discardedAt time.Time            // when the last one was discarded

	// Only the renewal under way uses these fields:
	failures       int    // failed logins without the store, in a row
	invalidRefresh string // the refresh token that the SSO has refused
}

func (e *entry) session() bool { return e.account.Load() == nil }

// cachedToken is a token in memory. It is immutable.
type cachedToken struct {
	token      Token
	generation string
	// shared says that other replicas may have the token, so that using its refresh token needs a claim.
	shared bool
	ends   time.Time // of the session; zero for a service account
	// replaces is the generation whose refresh token was used for this one; empty: unknown.
	replaces string
	// checked is when the store was last asked.
	checked time.Time
	refused bool // by the console

	revocation func() Revocation // of Options.Watch, from before the store was asked; may be nil

	dueAt     time.Time // until then it is returned as it is
	goodUntil time.Time // until then it is returned while it is renewed
}

// newCachedToken returns a token as it is cached at now.
func newCachedToken(t Token, generation string, shared bool, ends, now time.Time) *cachedToken {
	cached := &cachedToken{token: t, generation: generation, shared: shared, ends: ends, checked: now, dueAt: t.renewAt(), goodUntil: t.goodUntil()}
	if !ends.IsZero() {
		cached.dueAt = earlier(earlier(cached.dueAt, ends), now.Add(checkAfter))
		cached.goodUntil = earlier(earlier(cached.goodUntil, ends), now.Add(mustCheckAfter))
	}
	return cached
}

// revocationState tells what is known of the session's end since it was last read from the store.
func (t *cachedToken) revocationState() Revocation {
	if t.revocation == nil {
		return NotRevoked
	}
	return t.revocation()
}

// watch begins to watch a session.
func (c *Cache) watch(e *entry) func() Revocation {
	if c.opts.Watch == nil || !e.session() {
		return nil
	}
	return c.opts.Watch(e.name)
}

// confirmed returns the token as the store has confirmed it.
func (t *cachedToken) confirmed(now time.Time) *cachedToken {
	next := t.extended(now)
	next.revocation = nil // the caller watches from before its read of the store
	return next
}

// extended returns the token with new check times, without confirmation.
func (t *cachedToken) extended(now time.Time) *cachedToken {
	next := newCachedToken(t.token, t.generation, t.shared, t.ends, now)
	next.revocation, next.replaces = t.revocation, t.replaces
	if t.refused {
		next.refused, next.dueAt, next.goodUntil = true, t.dueAt, t.goodUntil
	}
	return next
}

// confirm extends the time for which a session's token is used while it is renewed. The store has just shown the session.
func (c *Cache) confirm(e *entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now, current := c.opts.Now(), e.cached.Load(); e.session() && current.usable(now) {
		e.cached.CompareAndSwap(current, current.extended(now)) // a sign-out may have dropped it
	}
}

// usable reports whether the token may be returned while it is renewed, however long ago the store was asked.
func (t *cachedToken) usable(now time.Time) bool {
	return t != nil && !t.refused && now.Before(t.token.goodUntil()) && (t.ends.IsZero() || now.Before(t.ends))
}

// newerThan reports whether the store holds the token that t has replaced.
func (t *cachedToken) newerThan(r Record) bool {
	return t != nil && t.replaces != "" && t.replaces == r.Generation
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// errRenewalWait ends the wait for a renewal if the caller has a token that may still be good.
var errRenewalWait = errors.New("tokencache: the renewal takes too long to wait for")

// waitForRefresh renews a token that must not be returned as it is. It waits only if the token
// must not be returned meanwhile.
func (c *Cache) waitForRefresh(ctx context.Context, e *entry, now time.Time) (string, error) {
	if e.session() && c.signOuts.has(e.name) {
		return "", errSession()
	}
	e.mu.Lock()
	current := e.cached.Load()
	good := current != nil && now.Before(current.goodUntil)
	revocation := NotRevoked
	if good {
		revocation = current.revocationState()
	}
	joined := e.call != nil
	switch {
	case good && revocation == NotRevoked && now.Before(current.dueAt), good && !joined && now.Before(e.retryAt) && (revocation == NotRevoked || revocation == RevocationUnknown && c.storeIsDown(now)):
		defer e.mu.Unlock()
		return current.token.Access, nil
	case !good && !joined && e.failed != nil && now.Before(e.retryAt):
		defer e.mu.Unlock()
		return "", retryAfter(e.failed, e.retryAt.Sub(now))
	case !joined:
		if err := c.begin(e); err != nil {
			defer e.mu.Unlock()
			return "", err
		}
	}
	call, begun := e.call, e.begun
	call.Join()
	e.mu.Unlock()
	if good && revocation == NotRevoked {
		return current.token.Access, nil
	}
	waitCtx := ctx
	if good && revocation == RevocationUnknown { // perhaps the store is unavailable: then the token is used
		var cancel context.CancelFunc
		waitCtx, cancel = context.WithTimeoutCause(ctx, revocationWait-now.Sub(begun), errRenewalWait)
		defer cancel()
	}
	access, err := call.Wait(waitCtx)
	if errors.Is(err, errRenewalWait) {
		return current.token.Access, nil
	}
	if next := e.cached.Load(); joined && err == nil && next != nil && (next.revocationState() == Revoked || next.refused) {
		return c.waitForRefresh(ctx, e, c.opts.Now()) // the renewal began before that was known
	}
	return access, err
}

// begin starts a renewal, which goes on without callers. The caller holds e.mu.
func (c *Cache) begin(e *entry) error {
	call := flight.Background[string](c.stop)
	if err := c.start(func() {
		call.RunLogged(c.opts.Logger, "renewal of a token", func(ctx context.Context) (string, error) {
			defer e.endCall()
			return c.runRenewal(ctx, e)
		})
	}); err != nil {
		return err
	}
	e.call, e.begun = call, c.opts.Now()
	return nil
}

// start runs f, which Close waits for.
func (c *Cache) start(f func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fault.New(fault.UpstreamUnavailable, "the gateway is shutting down")
	}
	c.tasks.Go(f)
	return nil
}

// endCall lets the next caller start a renewal.
func (e *entry) endCall() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.call = nil
}

// runRenewal renews a token and keeps the outcome.
func (c *Cache) runRenewal(ctx context.Context, e *entry) (access string, err error) {
	ctx, cancel := context.WithTimeout(ctx, grantTimeout)
	defer cancel()
	revocation := c.watch(e)
	next, again, err := c.renew(ctx, e, e.cached.Load())
	if next != nil && next.revocation == nil {
		next.revocation = revocation
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.session() && c.signOuts.has(e.name) {
		next, err = nil, errSession()
	}
	c.setOutcome(e, next, again, err)
	if next != nil {
		return next.token.Access, nil
	}
	return "", retryAfter(err, e.retryAt.Sub(c.opts.Now()))
}

// setOutcome keeps the outcome of a renewal: a token, an error, or both, if the old token is
// still good. The caller holds e.mu.
func (c *Cache) setOutcome(e *entry, next *cachedToken, again time.Time, err error) {
	now, current := c.opts.Now(), e.cached.Load()
	if next != nil && !now.Before(next.dueAt) {
		again = later(again, now.Add(shortPause)) // a token that stays due is not renewed all the time
	}
	if e.session() {
		again = earlier(again, now.Add(checkAfter)) // a session may be signed out at any time
	}
	e.retryAt, e.failed = again, err
	if next != nil && (current == nil || !current.refused || current.generation != next.generation) {
		e.cached.Store(next)
	}
	if next == nil && e.session() && fault.CodeOf(err) == fault.Unauthenticated {
		e.cached.Store(nil)
		c.sessions.CompareAndDelete(e.name, e)
	}
}
