package tokencache

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
)

// entry is what is held in memory for a service account or a session.
type entry struct {
	key     string
	name    string                // of the account, or of the session's principal
	account atomic.Pointer[login] // nil: a session
	held    atomic.Pointer[held]

	mu      sync.Mutex
	flight  *flight
	retryAt time.Time // no renewal before
	failed  error     // why
	gaveUps int       // tokens given up as refused, in a row
	doubted string    // the token that was last refused and kept, as it was young
	gaveUp  time.Time // when the last was

	// Only the renewal under way uses the following.
	failures int    // logins without the store that failed, in a row
	dead     string // the refresh token that the SSO has refused
}

func (e *entry) session() bool { return e.account.Load() == nil }

// held is a token as it is held. It is never changed, only replaced.
type held struct {
	token      Token
	generation string
	// shared says that other replicas may hold it, so that its refresh token is
	// nobody's to use without a claim.
	shared bool
	ends   time.Time // of the session; zero for a service account
	// checked is when the store was last asked for it.
	checked time.Time
	refused bool // by the console

	news func() News // of Options.Watch, from before the store was asked; nil: nobody tells

	dueAt     time.Time // until then it is handed out without further ado
	goodUntil time.Time // until then it is handed out while it is renewed
}

// hold makes of a token what is held of it as of now.
func hold(t Token, generation string, shared bool, ends, now time.Time) *held {
	h := &held{token: t, generation: generation, shared: shared, ends: ends, checked: now, dueAt: t.renewAt(), goodUntil: t.goodUntil()}
	if !ends.IsZero() {
		h.dueAt = earlier(earlier(h.dueAt, ends), now.Add(checkAfter))
		h.goodUntil = earlier(earlier(h.goodUntil, ends), now.Add(mustCheckAfter))
	}
	return h
}

// heard is what has been heard of the session's end since it was looked up.
func (h *held) heard() News {
	if h.news == nil {
		return Quiet
	}
	return h.news()
}

// watch begins to watch over a session.
func (c *Cache) watch(e *entry) func() News {
	if c.opts.Watch == nil || !e.session() {
		return nil
	}
	return c.opts.Watch(e.name)
}

// seen is h after the store has said that it is still so.
func (h *held) seen(now time.Time) *held {
	next := h.again(now)
	next.news = nil // whoever has asked the store knows since when
	return next
}

// again is h for another while.
func (h *held) again(now time.Time) *held {
	next := hold(h.token, h.generation, h.shared, h.ends, now)
	next.news = h.news
	if h.refused {
		next.refused, next.dueAt, next.goodUntil = true, h.dueAt, h.goodUntil
	}
	return next
}

// serves says whether the token may be handed out while it is renewed, but for
// when it was last looked up.
func (h *held) serves(now time.Time) bool {
	return h != nil && !h.refused && now.Before(h.token.goodUntil()) && (h.ends.IsZero() || now.Before(h.ends))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// flight is one renewal that any number of callers wait for.
type flight struct {
	begun  time.Time
	done   chan struct{}
	access string
	err    error
}

// renewed is the way of a token that is not, or no longer, to be handed out
// without further ado: it is renewed, and waited for only where it must be.
func (c *Cache) renewed(ctx context.Context, e *entry, now time.Time) (string, error) {
	e.mu.Lock()
	h := e.held.Load()
	good := h != nil && now.Before(h.goodUntil)
	news := Quiet
	if good {
		news = h.heard()
	}
	joined := e.flight != nil
	switch {
	case good && news == Quiet && now.Before(h.dueAt), good && !joined && now.Before(e.retryAt) && (news == Quiet || news == Unsure && c.storeIsDown(now)):
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
	f := e.flight
	e.mu.Unlock()
	if good && news == Quiet {
		return h.token.Access, nil
	}
	var enough <-chan time.Time
	if good && news == Unsure { // the store may be what is away: then it goes on
		timer := time.NewTimer(unsureWait - now.Sub(f.begun))
		defer timer.Stop()
		enough = timer.C
	}
	select {
	case <-f.done:
	case <-enough:
		return h.token.Access, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if next := e.held.Load(); joined && f.err == nil && next != nil && (next.heard() == Told || next.refused) {
		return c.renewed(ctx, e, c.opts.Now()) // it was begun before that was known
	}
	return f.access, f.err
}

// begin starts a renewal. The caller holds e.mu.
func (c *Cache) begin(e *entry) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fault.New(fault.UpstreamUnavailable, "the gateway is shutting down")
	}
	f := &flight{begun: c.opts.Now(), done: make(chan struct{})}
	e.flight = f
	c.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(c.stop, grantTimeout)
		defer cancel()
		news := c.watch(e)
		next, again, err := c.renew(ctx, e, e.held.Load())
		if next != nil && next.news == nil {
			next.news = news
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		c.settle(e, next, again, err)
		if f.err = err; next != nil {
			f.access, f.err = next.token.Access, nil
		}
		e.flight = nil
		close(f.done)
	})
	return nil
}

// settle keeps the outcome of a renewal: a token, an error, or both, where the
// old token serves a little longer. The caller holds e.mu.
func (c *Cache) settle(e *entry, next *held, again time.Time, err error) {
	now, current := c.opts.Now(), e.held.Load()
	if next != nil && !now.Before(next.dueAt) {
		again = later(again, now.Add(shortPause)) // what is due stays so, but is not asked for all the time
	}
	if e.session() {
		again = earlier(again, now.Add(checkAfter)) // it may be signed out at any time
	}
	e.retryAt, e.failed = again, err
	if next != nil && (current == nil || !current.refused || current.generation != next.generation) {
		e.held.Store(next)
	}
	if next == nil && e.session() && fault.CodeOf(err) == fault.Unauthenticated {
		e.held.Store(nil)
		c.sessions.CompareAndDelete(e.name, e)
	}
}
