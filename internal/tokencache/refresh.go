package tokencache

import (
	"context"
	"crypto/rand"
	"errors"
	"math"
	"time"

	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/fault"
)

var errStoreDown = errors.New("tokencache: the store gave no answer a moment ago")

// callStoreFor is callStore for a session or account. If the session is known to be revoked, it asks
// the store even after a failure, but with a short timeout, which says nothing about the store.
func (c *Cache) callStoreFor(ctx context.Context, old *cachedToken, question func(ctx context.Context) error) error {
	if old != nil && old.revocationState() == Revoked && c.storeIsDown(c.opts.Now()) {
		bounded, cancel := context.WithTimeout(ctx, revocationWait)
		defer cancel()
		return question(bounded)
	}
	return c.callStore(ctx, question)
}

// storeIsDown reports whether the store is not asked now, since it failed a moment ago.
func (c *Cache) storeIsDown(now time.Time) bool { return now.UnixNano() < c.down.Load() }

// callStore makes one call to the store, unless the last one failed a moment ago.
func (c *Cache) callStore(ctx context.Context, question func(ctx context.Context) error) error {
	if c.storeIsDown(c.opts.Now()) {
		return errStoreDown
	}
	bounded, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := question(bounded)
	if err == nil {
		c.settled.CompareAndSwap(math.MaxInt64, c.opts.Now().Add(2*storePause).UnixNano())
	}
	_, answered := errors.AsType[*fault.Error](err)
	if err != nil && !answered && !errors.Is(err, errSealed) && ctx.Err() == nil {
		c.down.Store(c.opts.Now().Add(storePause).UnixNano())
		c.settled.Store(math.MaxInt64)
		c.opts.Logger.WarnContext(ctx, "the store of tokens gives no answer", "error", err)
	}
	return err
}

// renew returns the next token of an entry: the store's, if another replica was faster, or a new one. Beside an error
// it may return the old token, if that is still good. again is the time of the next attempt.
func (c *Cache) renew(ctx context.Context, e *entry, old *cachedToken) (next *cachedToken, again time.Time, err error) {
	if e.session() && old.usable(c.opts.Now()) && c.opts.Now().Before(old.token.renewAt()) {
		return c.check(ctx, e, old)
	}
	owner, seen := rand.Text(), ""
	if old != nil {
		seen = old.generation
	}
	const minClaimPoll, maxClaimPoll = 10 * time.Millisecond, 100 * time.Millisecond
	for polls := 0; ; polls++ {
		var status ClaimStatus
		var r Record
		err := c.callStoreFor(ctx, old, func(ctx context.Context) (err error) {
			status, r, err = c.opts.Store.Claim(ctx, e.key, Claim{Owner: owner, Lease: c.opts.Lease, Seen: seen, Session: e.session()})
			return err
		})
		if err == nil && old.newerThan(r) {
			if err = c.storeAgain(ctx, e, old); err == nil {
				continue
			}
		}
		if err != nil {
			return c.withoutStore(ctx, e, old)
		}
		now := c.opts.Now()
		if status == Claimed || status == Busy {
			c.confirm(e)
		}
		switch status {
		case Fresh:
			return newCachedToken(r.Token, r.Generation, true, r.Ends, now), time.Time{}, nil
		case Paused:
			return c.fallback(e, old, r.Until, c.refused(e, r.Reason, nil))
		case Absent:
			if restored, err := c.restore(ctx, e, old); restored != nil || err != nil {
				return restored, time.Time{}, err
			}
			return c.fallback(e, old, now.Add(storePause), errSession())
		case Ended:
			return nil, time.Time{}, errSession()
		case Claimed:
			if !e.session() || now.UnixNano() >= c.settled.Load() {
				return c.obtain(ctx, e, old, owner, r)
			}
			// The store was unavailable. Another replica may have used the refresh token, and is about to store the next one.
		case Busy:
		}
		if !backoff.Wait(ctx, min(backoff.Exponential(minClaimPoll, maxClaimPoll, polls), max(r.Busy, time.Millisecond))) {
			return c.fallback(e, old, now.Add(storePause), fault.New(fault.UpstreamTimeout, "the console's SSO did not answer in time"))
		}
	}
}

// check reads a session again whose token is good.
func (c *Cache) check(ctx context.Context, e *entry, old *cachedToken) (*cachedToken, time.Time, error) {
	r, err := c.load(ctx, e.key, old)
	if err == nil && old.newerThan(r) {
		err, r.Generation = c.storeAgain(ctx, e, old), old.generation
	}
	now := c.opts.Now()
	switch {
	case err != nil:
		return old.extended(now), now.Add(storePause), nil //nolint:nilerr // what is in memory stays in use while the store is unavailable
	case r.Ended:
		return nil, time.Time{}, errSession()
	case r.Generation == "" && r.Ends.IsZero():
		if restored, err := c.restore(ctx, e, old); restored != nil || err != nil {
			return restored, time.Time{}, err
		}
		return old.extended(now), now.Add(storePause), nil
	case r.Generation == "" || r.Generation == old.generation:
		return old.confirmed(now), time.Time{}, nil
	default:
		return newCachedToken(r.Token, r.Generation, true, r.Ends, now), time.Time{}, nil
	}
}

// load reads a record. old is the token in memory of its session or account; nil: none.
func (c *Cache) load(ctx context.Context, key string, old *cachedToken) (r Record, err error) {
	err = c.callStoreFor(ctx, old, func(ctx context.Context) (err error) {
		r, err = c.opts.Store.Load(ctx, key)
		return err
	})
	return r, err
}

// restore writes a session back to a store that has lost it. It does not if the token is due for renewal: another
// replica may have a newer one. A session that is known to be revoked is not written back but is an error.
func (c *Cache) restore(ctx context.Context, e *entry, old *cachedToken) (*cachedToken, error) {
	now := c.opts.Now()
	if !e.session() || old == nil {
		return nil, nil //nolint:nilnil // nothing to give back
	}
	if old.revocationState() == Revoked {
		return nil, errSession()
	}
	if !old.usable(now) || !now.Before(old.token.renewAt()) {
		return nil, nil //nolint:nilnil // nothing to give back
	}
	err := c.callStore(ctx, func(ctx context.Context) error {
		_, err := c.opts.Store.Create(ctx, e.key, c.put(old.token, old.generation, old.ends))
		return err // if there is one by now, another replica was faster
	})
	if err != nil {
		return nil, nil //nolint:nilerr,nilnil // it is not given back, and goes on without
	}
	c.opts.Logger.InfoContext(ctx, "a session that the store had lost was given back to it")
	return old.confirmed(now), nil
}

func (c *Cache) put(t Token, generation string, ends time.Time) Put {
	p := Put{Token: t, Generation: generation, TTL: accountTTL, Ends: ends}
	if !ends.IsZero() {
		p.TTL = max(time.Second, ends.Sub(c.opts.Now()))
	}
	return p
}

// fallback returns the old token while that is usable, and the error otherwise.
func (c *Cache) fallback(e *entry, old *cachedToken, again time.Time, err error) (*cachedToken, time.Time, error) {
	if old.usable(c.opts.Now()) {
		return old.confirmed(c.opts.Now()), again, err
	}
	if e.session() && fault.CodeOf(err) == fault.Unauthenticated {
		again = time.Time{}
	}
	return nil, again, err
}

// withoutStore renews while the store is unavailable. A token in memory is used as long as it is
// good. After that, a service account logs in and keeps its token for itself. A session has to
// wait for the store, since other replicas may use its refresh token.
func (c *Cache) withoutStore(ctx context.Context, e *entry, old *cachedToken) (*cachedToken, time.Time, error) {
	now := c.opts.Now()
	if old.usable(now) && old.shared {
		return old.extended(now), now.Add(storePause), nil
	}
	if e.session() {
		return nil, now.Add(shortPause), fault.New(fault.UpstreamUnavailable, "the session cannot be looked up at the moment")
	}
	refresh := ""
	if old != nil && !old.shared {
		refresh = old.token.Refresh
	}
	token, err := c.observedLogin(ctx, e, refresh, false, e.failures)
	if err != nil {
		e.failures++
		again := c.opts.Now().Add(c.accountFailure(e, err).pause(e.failures))
		e.mu.Lock()
		defer e.mu.Unlock()
		e.spend(old)
		g := grantError(err)
		return c.fallback(e, e.cached.Load(), again, c.refused(e, g.Reason, g.Err))
	}
	e.failures = 0
	return newCachedToken(token, rand.Text(), false, time.Time{}, c.opts.Now()), time.Time{}, nil
}

// obtain renews the tokens of a record that owner has claimed.
func (c *Cache) obtain(ctx context.Context, e *entry, old *cachedToken, owner string, r Record) (*cachedToken, time.Time, error) {
	release := c.extend(ctx, e, owner)
	defer release()
	if e.session() {
		return c.obtainSession(ctx, e, old, owner, r)
	}
	refresh, spent := r.Token.Refresh, r.Spent
	if r.Generation == "" && old != nil && !old.shared {
		refresh, spent = old.token.Refresh, false // obtained while the store was unavailable, and known to this replica only
	}
	token, err := c.observedLogin(ctx, e, refresh, spent, r.Failures)
	if err != nil {
		f := c.accountFailure(e, err)
		again := c.opts.Now().Add(f.pause(r.Failures + 1))
		e.mu.Lock()
		e.spend(old)
		e.mu.Unlock()
		c.fail(ctx, e.key, owner, f)
		g := grantError(err)
		return c.fallback(e, old, again, c.refused(e, g.Reason, g.Err))
	}
	p := c.put(token, rand.Text(), time.Time{})
	cached, err := c.store(ctx, e, owner, p)
	shared := cached || err != nil // after an error, the token may be stored
	if !shared {
		// The claim was lost, and the record is another replica's. The next renewal reads its
		// token. The token that was granted is good, too.
		c.opts.Logger.WarnContext(ctx, "a claim on a service account's tokens was lost while the SSO was asked", "account", e.name)
	}
	return newCachedToken(token, p.Generation, shared, time.Time{}, c.opts.Now()), time.Time{}, nil
}

// spend notes that the refresh token of old was used. The caller holds e.mu.
func (e *entry) spend(old *cachedToken) {
	if current := e.cached.Load(); old != nil && !old.shared && current != nil && current.generation == old.generation {
		spent := *current
		spent.shared = true
		e.cached.Store(&spent)
	}
}

// password is the password grant. Its token's life counts from before the request.
func (c *Cache) password(ctx context.Context, username, password string) (Token, error) {
	asked := c.opts.Now()
	token, err := c.opts.Grants.Password(ctx, username, password)
	token.Obtained = asked
	return token, err
}

// refresh is the refresh grant. Its token's life counts from before the request.
func (c *Cache) refresh(ctx context.Context, refreshToken string) (Token, error) {
	asked := c.opts.Now()
	token, err := c.opts.Grants.Refresh(ctx, refreshToken)
	token.Obtained = asked
	if token.Refresh == "" {
		token.Refresh = refreshToken // the old one stays valid (RFC 6749, section 6)
	}
	return token, err
}

// obtainSession renews a session's token, which only the refresh token can do. It is tried
// again as long as the outcome is unknown.
func (c *Cache) obtainSession(ctx context.Context, e *entry, old *cachedToken, owner string, r Record) (*cachedToken, time.Time, error) {
	now := c.opts.Now()
	current := old
	if r.Generation != "" && (old == nil || old.generation != r.Generation) {
		current = newCachedToken(r.Token, r.Generation, true, r.Ends, now)
	}
	if r.Token.Refresh == "" {
		// It cannot be renewed: the session ends with its token.
		if current.usable(now) {
			left := current.token.goodUntil()
			c.fail(ctx, e.key, owner, Failure{Reason: Refused, MinPause: left.Sub(now)})
			return current.confirmed(now), time.Time{}, nil
		}
		return nil, time.Time{}, c.end(ctx, e)
	}
	token, err := c.refreshSession(ctx, r.Token.Refresh, r.Failures == 0 && !current.usable(now))
	if err != nil {
		g := grantError(err)
		c.opts.Logger.InfoContext(ctx, "a session's token was not refreshed", "reason", string(g.Reason), "code", fault.CodeOf(g.Err))
		if g.Reason != Unavailable {
			return c.refreshRefused(ctx, e, r)
		}
		f := failure(g, sessionPause)
		f.Unspent = true
		c.fail(ctx, e.key, owner, f)
		return c.fallback(e, current, c.opts.Now().Add(f.pause(r.Failures+1)), c.refused(e, g.Reason, g.Err))
	}
	p := c.put(token, rand.Text(), r.Ends)
	p.Replaces = r.Generation
	cached, err := c.store(ctx, e, owner, p)
	next := newCachedToken(token, p.Generation, true, r.Ends, c.opts.Now())
	next.replaces = r.Generation
	switch {
	case err != nil:
		unstored := *next
		c.tasks.Go(func() { c.storeLater(e, &unstored) })
	case !cached: // the session was signed out, renewed by another replica, or lost
		if old != nil {
			next.revocation = old.revocation
		}
		return c.check(ctx, e, next)
	}
	return next, time.Time{}, nil
}

// refreshSession is the refresh grant of a session. With again, a second attempt follows a
// quick failure: callers wait, and the SSO worked before.
func (c *Cache) refreshSession(ctx context.Context, refreshToken string, again bool) (Token, error) {
	asked := c.opts.Now()
	token, err := c.refresh(ctx, refreshToken)
	if err == nil || !again || c.opts.Now().Sub(asked) > firstPause {
		return token, err
	}
	if g := grantError(err); g.Reason != Unavailable || g.RetryAfter > 0 || !backoff.Wait(ctx, backoff.Jitter(shortPause, 0.5)) {
		return token, err
	}
	return c.refresh(ctx, refreshToken)
}

// refreshRefused ends a session whose refresh token was refused, unless another replica has
// taken over the claim and renewed it.
func (c *Cache) refreshRefused(ctx context.Context, e *entry, claimed Record) (*cachedToken, time.Time, error) {
	r, err := c.load(ctx, e.key, nil)
	if err == nil && r.Generation != "" && r.Generation != claimed.Generation {
		return newCachedToken(r.Token, r.Generation, true, r.Ends, c.opts.Now()), time.Time{}, nil
	}
	return nil, time.Time{}, c.end(ctx, e)
}

// end ends a session that cannot be renewed.
func (c *Cache) end(ctx context.Context, e *entry) error {
	if err := c.callStore(ctx, func(ctx context.Context) error { return c.opts.Store.End(ctx, e.key, c.opts.SessionLifetime) }); err != nil {
		c.opts.Logger.WarnContext(ctx, "a session that has ended is not yet forgotten", "error", err)
	}
	return errSession()
}

// store stores new tokens. It tries for a while, since no other goroutine has them.
func (c *Cache) store(ctx context.Context, e *entry, owner string, p Put) (cached bool, err error) {
	const firstPause = 20 * time.Millisecond
	until := c.opts.Now().Add(c.opts.Lease)
	for tries := 0; ; tries++ {
		err = c.callStore(ctx, func(ctx context.Context) (err error) {
			cached, err = c.opts.Store.Put(ctx, e.key, owner, p)
			return err
		})
		if err == nil || !c.opts.Now().Before(until) || !backoff.Wait(ctx, backoff.Exponential(firstPause, shortPause, tries)) {
			return cached, err
		}
	}
}

func (c *Cache) fail(ctx context.Context, key, owner string, f Failure) {
	if err := c.callStore(ctx, func(ctx context.Context) error {
		_, err := c.opts.Store.Fail(ctx, key, owner, f)
		return err
	}); err != nil {
		c.opts.Logger.WarnContext(ctx, "a failed grant is not known to other replicas", "error", err)
	}
}

// refused is the error for callers of an entry without a token.
func (c *Cache) refused(e *entry, reason Reason, err error) error {
	if e.session() {
		return refusal("the session", reason, err)
	}
	return refusal("the gateway's service account", reason, err)
}

// extend keeps a claim from expiring until release is called.
func (c *Cache) extend(ctx context.Context, e *entry, owner string) (release func()) {
	ctx, cancel := context.WithCancel(ctx)
	c.tasks.Go(func() {
		for backoff.Wait(ctx, c.opts.Lease/3) {
			bounded, done := context.WithTimeout(ctx, storeTimeout)
			held, err := c.opts.Store.Extend(bounded, e.key, owner, c.opts.Lease)
			done()
			if err == nil && !held {
				return // the claim is lost, or its holder has ended it
			}
			if err == nil {
				c.confirm(e)
			}
		}
	})
	return cancel
}
