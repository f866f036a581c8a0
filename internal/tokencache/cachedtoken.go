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

// entry is what is held in memory for a service account or a session.
type entry struct {
	key     string
	name    string                // of the account, or of the session's principal
	account atomic.Pointer[login] // nil: a session
	cached  atomic.Pointer[cachedToken]

	mu      sync.Mutex
	call    *flight.Call[string] // the renewal under way; nil: none
	begun   time.Time            // when it began
	retryAt time.Time            // no renewal before
	failed  error                // why
	gaveUps int                  // tokens given up as refused, in a row
	doubted string               // the token that was last refused and kept, as it was young
	gaveUp  time.Time            // when the last was

	// Only the renewal under way uses the following.
	failures int    // logins without the store that failed, in a row
	dead     string // the refresh token that the SSO has refused
}

func (e *entry) session() bool { return e.account.Load() == nil }

// cachedToken is a token as it is held. It is never changed, only replaced.
type cachedToken struct {
	token      Token
	generation string
	// shared says that other replicas may hold it, so that its refresh token is
	// nobody's to use without a claim.
	shared bool
	ends   time.Time // of the session; zero for a service account
	// checked is when the store was last asked for it.
	checked time.Time
	refused bool // by the console

	revocation func() Revocation // of Options.Watch, from before the store was asked; nil: nobody tells

	dueAt     time.Time // until then it is handed out without further ado
	goodUntil time.Time // until then it is handed out while it is renewed
}

// hold makes of a token what is held of it as of now.
func hold(t Token, generation string, shared bool, ends, now time.Time) *cachedToken {
	h := &cachedToken{token: t, generation: generation, shared: shared, ends: ends, checked: now, dueAt: t.renewAt(), goodUntil: t.goodUntil()}
	if !ends.IsZero() {
		h.dueAt = earlier(earlier(h.dueAt, ends), now.Add(checkAfter))
		h.goodUntil = earlier(earlier(h.goodUntil, ends), now.Add(mustCheckAfter))
	}
	return h
}

// revoked is what has been heard of the session's end since it was looked up.
func (h *cachedToken) revoked() Revocation {
	if h.revocation == nil {
		return NotRevoked
	}
	return h.revocation()
}

// watch begins to watch over a session.
func (c *Cache) watch(e *entry) func() Revocation {
	if c.opts.Watch == nil || !e.session() {
		return nil
	}
	return c.opts.Watch(e.name)
}

// seen is h after the store has said that it is still so.
func (h *cachedToken) seen(now time.Time) *cachedToken {
	next := h.again(now)
	next.revocation = nil // whoever has asked the store knows since when
	return next
}

// again is h for another while.
func (h *cachedToken) again(now time.Time) *cachedToken {
	next := hold(h.token, h.generation, h.shared, h.ends, now)
	next.revocation = h.revocation
	if h.refused {
		next.refused, next.dueAt, next.goodUntil = true, h.dueAt, h.goodUntil
	}
	return next
}

// serves says whether the token may be handed out while it is renewed, but for
// when it was last looked up.
func (h *cachedToken) serves(now time.Time) bool {
	return h != nil && !h.refused && now.Before(h.token.goodUntil()) && (h.ends.IsZero() || now.Before(h.ends))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// errUnsureWait ends a wait for a renewal whose caller has a token that may serve.
var errUnsureWait = errors.New("tokencache: the renewal takes too long to wait for")

// waitForRefresh is the way of a token that is not, or no longer, to be handed out
// without further ado: it is renewed, and waited for only where it must be.
func (c *Cache) waitForRefresh(ctx context.Context, e *entry, now time.Time) (string, error) {
	e.mu.Lock()
	h := e.cached.Load()
	good := h != nil && now.Before(h.goodUntil)
	news := NotRevoked
	if good {
		news = h.revoked()
	}
	joined := e.call != nil
	switch {
	case good && news == NotRevoked && now.Before(h.dueAt), good && !joined && now.Before(e.retryAt) && (news == NotRevoked || news == RevocationUnknown && c.storeIsDown(now)):
		defer e.mu.Unlock()
		return h.token.Access, nil
	case !good && !joined && e.failed != nil && now.Before(e.retryAt):
		defer e.mu.Unlock()
		return "", e.failed
	case !joined:
		if err := c.begin(e); err != nil { //nolint:contextcheck // a renewal serves every caller, so no single one may end it
			defer e.mu.Unlock()
			return "", err
		}
	}
	call, begun := e.call, e.begun
	call.Join()
	e.mu.Unlock()
	if good && news == NotRevoked {
		return h.token.Access, nil
	}
	waitCtx := ctx
	if good && news == RevocationUnknown { // the store may be what is away: then the token goes on
		var cancel context.CancelFunc
		waitCtx, cancel = context.WithTimeoutCause(ctx, unsureWait-now.Sub(begun), errUnsureWait)
		defer cancel()
	}
	access, err := call.Wait(waitCtx)
	if errors.Is(err, errUnsureWait) {
		return h.token.Access, nil
	}
	if next := e.cached.Load(); joined && err == nil && next != nil && (next.revoked() == Revoked || next.refused) {
		return c.waitForRefresh(ctx, e, c.opts.Now()) // it was begun before that was known
	}
	return access, err
}

// begin starts a renewal, which goes on without callers. The caller holds e.mu.
func (c *Cache) begin(e *entry) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fault.New(fault.UpstreamUnavailable, "the gateway is shutting down")
	}
	call := flight.Background[string](c.stop)
	e.call, e.begun = call, c.opts.Now()
	c.tasks.Go(func() {
		call.Run(func(ctx context.Context) (string, error) {
			defer e.endCall()
			return c.runRenewal(ctx, e)
		})
		var panicked *flight.PanicError
		if _, err := call.Wait(c.stop); errors.As(err, &panicked) {
			c.opts.Logger.Error("a renewal panicked", "error", panicked)
		}
	})
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
	news := c.watch(e)
	next, again, err := c.renew(ctx, e, e.cached.Load())
	if next != nil && next.revocation == nil {
		next.revocation = news
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	c.keepOutcome(e, next, again, err)
	if next != nil {
		return next.token.Access, nil
	}
	return "", err
}

// keepOutcome keeps the outcome of a renewal: a token, an error, or both, where the
// old token serves a little longer. The caller holds e.mu.
func (c *Cache) keepOutcome(e *entry, next *cachedToken, again time.Time, err error) {
	now, current := c.opts.Now(), e.cached.Load()
	if next != nil && !now.Before(next.dueAt) {
		again = later(again, now.Add(shortPause)) // what is due stays so, but is not asked for all the time
	}
	if e.session() {
		again = earlier(again, now.Add(checkAfter)) // it may be signed out at any time
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
