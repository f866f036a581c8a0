package tokencache

import (
	"context"
	"sync"
	"time"

	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
)

// maxUnknownSignOuts bounds the sign-outs of sessions that are not in memory, since anybody can ask for them: the pending
// ones, and in a session's lifetime those that are stored though the store does not know the session either.
const maxUnknownSignOuts = 10_000

// pendingSignOuts are the sign-outs that the store has not confirmed. Their sessions are refused here.
type pendingSignOuts struct {
	mu        sync.Mutex
	byName    map[string]*pendingSignOut // by the principal's name
	unknown   int                        // those of sessions that are not in memory
	repeating bool
	stored    int // sessions unknown to the store that were ended there since storedAt
	storedAt  time.Time
}

type pendingSignOut struct {
	ends   time.Time // of the session; zero: it is not in memory
	failed bool      // it is to be repeated
}

func (p *pendingSignOuts) has(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byName[name] != nil
}

// mayStore reports whether the end of a session that the store does not know may be stored.
func (p *pendingSignOuts) mayStore(now time.Time, lifetime time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.storedAt) >= lifetime {
		p.stored, p.storedAt = 0, now
	}
	p.stored++
	return p.stored <= maxUnknownSignOuts
}

// begin refuses the session from now on. It returns the session's end, if that is known.
func (p *pendingSignOuts) begin(name string, ends time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.byName[name]; s != nil {
		return s.ends
	}
	if ends.IsZero() {
		if p.unknown >= maxUnknownSignOuts {
			return ends
		}
		p.unknown++
	}
	if p.byName == nil {
		p.byName = make(map[string]*pendingSignOut)
	}
	p.byName[name] = &pendingSignOut{ends: ends}
	return ends
}

// done removes a sign-out that the store has confirmed.
func (p *pendingSignOuts) done(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.byName[name]; s != nil && s.ends.IsZero() {
		p.unknown--
	}
	delete(p.byName, name)
}

// fail keeps a sign-out for a repetition. It reports whether the caller must start to repeat them.
func (p *pendingSignOuts) fail(name string) (start bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.byName[name]
	if s == nil { // another call has ended the session, or too many wait
		return false
	}
	s.failed = true
	start = !p.repeating
	p.repeating = true
	return start
}

// failed returns the sign-outs to repeat, with the sessions' ends. Without any, the caller stops to repeat them.
func (p *pendingSignOuts) failed() map[string]time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	failed := make(map[string]time.Time)
	for name, s := range p.byName {
		if s.failed {
			failed[name] = s.ends
		}
	}
	p.repeating = len(failed) > 0
	return failed
}

// SignOut ends the session of the principal in ctx. The sign-out takes effect here at once. Other replicas learn of it by
// a message (Options.Watch), or within seconds. If the store does not answer, SignOut returns an error, and the sign-out is
// repeated until the store answers. Callers without a session get UNAUTHENTICATED.
func (c *Cache) SignOut(ctx context.Context) error {
	p := principal.FromContext(ctx)
	if p.Credential() != principal.Session {
		return fault.New(fault.Unauthenticated, "there is no session to end: send its token as Authorization: Bearer")
	}
	ends := c.signOuts.begin(p.Name(), c.drop(p.Name()))
	c.drop(p.Name()) // a renewal may have ended in between
	ended, err := c.signOut(ctx, p.Name(), ends)
	if err != nil {
		if c.signOuts.fail(p.Name()) {
			c.beginRepeats()
		}
		return noStore(err)
	}
	c.drop(p.Name()) // if the sign-out was not marked as pending, a request may have read the session again
	c.signOuts.done(p.Name())
	if !ended {
		return errSession()
	}
	return nil
}

// signOut ends a session in the store, and reports whether there was one. ends is its end, if it was in memory.
func (c *Cache) signOut(ctx context.Context, name string, ends time.Time) (ended bool, err error) {
	err = c.callStore(ctx, func(ctx context.Context) error {
		r, err := c.opts.Store.Load(ctx, c.sessionKey(name))
		if err != nil || r.Ended {
			return err
		}
		if !r.Ends.IsZero() { // otherwise the store has lost it, and another replica may restore it
			ends = r.Ends
		}
		if ended = !ends.IsZero(); !ended { // another replica may have it in memory, and would restore it
			if !c.signOuts.mayStore(c.opts.Now(), c.opts.SessionLifetime) {
				return nil
			}
			ends = c.opts.Now().Add(c.opts.SessionLifetime)
		}
		return c.opts.Store.End(ctx, c.sessionKey(name), ends.Sub(c.opts.Now()))
	})
	return ended, err
}

func (c *Cache) beginRepeats() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.tasks.Go(c.repeatSignOuts)
	}
}

// repeatSignOuts repeats the failed sign-outs until the store has confirmed all, or the cache closes.
func (c *Cache) repeatSignOuts() {
	for backoff.Wait(c.stop, backoff.Spread(storePause, 0.2)) {
		failed := c.signOuts.failed()
		if len(failed) == 0 {
			return
		}
		for name, ends := range failed {
			ended, err := c.signOut(c.stop, name, ends)
			if err != nil {
				break // the others wait as well
			}
			c.signOuts.done(name)
			delete(failed, name)
			if ended && c.opts.SignedOut != nil {
				c.opts.SignedOut(c.stop, name)
			}
		}
		if len(failed) > 0 && c.isClosed() {
			c.opts.Logger.Warn("the gateway ends before the store has confirmed all sign-outs", "sessions", len(failed))
			return
		}
	}
}

func (c *Cache) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// drop removes a session from memory, and returns its end; zero: it was not there.
func (c *Cache) drop(name string) (ends time.Time) {
	e, ok := c.sessions.LoadAndDelete(name)
	if !ok {
		return ends
	}
	if cached := e.(*entry).cached.Swap(nil); cached != nil {
		ends = cached.ends
	}
	return ends
}
