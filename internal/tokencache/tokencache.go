// Package tokencache keeps the console tokens with which principals ask (GraphQL
// contract, section Scope and principal): those of service accounts and of the
// sessions that signIn began. A caller's own token passes through.
//
// A token in memory is handed out while it is good, without asking anyone. Before
// its end it is renewed beside its use: one goroutine of one replica claims its
// record in the Store, uses the refresh token and stores what it was given; the
// others read that. A refresh token works once (document, section Authentication:
// refresh token). Where the outcome of a refresh is unknown, as after a 502 or the
// death of its replica, a session tries the same refresh token again, and ends only
// if the SSO refuses it; a service account logs in by its password.
package tokencache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
)

// Options are what a Cache is made of.
type Options struct {
	Grants Grants
	// Accounts are the service accounts by name; see principal.DefaultAccount and
	// Cache.SetAccounts.
	Accounts map[string]Account
	// MAC is a keyed hash, under whose value the store remembers a refused password. All
	// replicas that share the store must have the same; default: of a random key.
	MAC func(text string) string
	// Store keeps the records; default: a Memory of its own.
	Store Store
	// Realm names the console, so that records of two consoles in one store are not
	// mixed up; the SSO's address will do.
	Realm string
	// SessionLifetime is how long a session lasts from its signIn; default 12 h.
	SessionLifetime time.Duration
	// Lease is how long after its last sign of life a holder of a claim counts as
	// dead; default 3 s. A holder that lives extends its claim for as long as the
	// SSO takes to answer.
	Lease time.Duration
	// Watch begins to watch over a session, by its principal's name. What it returns says
	// what has been heard since of its end, through any replica. It is quick. nil: nobody
	// tells.
	Watch func(name string) (news func() Revocation)
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Logger is told of grants that failed, without their secrets; default: discarded.
	Logger *slog.Logger
}

// Revocation is what has been heard of the end of a session.
type Revocation uint8

// The news.
const (
	NotRevoked        Revocation = iota // it has certainly not been ended
	RevocationUnknown                   // somebody may have ended it and not be heard
	Revoked                             // somebody has said so
)

// The times of a token.
const (
	// renewAhead is how long before its end a token is renewed, at most; a fifth of
	// its life where that is less.
	renewAhead = 5 * time.Minute
	// expiryMargin is taken off a token's life for the time that a call is under
	// way, at most; a tenth of its life where that is less.
	expiryMargin = 5 * time.Second
	// grantTimeout bounds one renewal, which outlives the caller that began it.
	grantTimeout = 40 * time.Second
	// firstPause and maxPause bound how long a refused login is not tried again, and
	// refusedPause is how long the same password of a service account is not.
	firstPause   = time.Second
	maxPause     = time.Minute
	refusedPause = time.Hour
	// shortPause is the first pause where the SSO, not the account, is in trouble, and
	// probePause the longest of a service account, which all replicas share.
	// sessionPause is the longest of a session.
	shortPause   = 100 * time.Millisecond
	probePause   = 2 * time.Second
	sessionPause = 5 * time.Second
	// probeTimeout bounds the logins of a service account after one has failed, so that
	// a login that hangs does not outlast the SSO's trouble. Each fullProbe-th login has
	// the whole time, for an SSO that has become slow.
	probeTimeout = 2500 * time.Millisecond
	// hedgeDelay is how long a service account waits for a refresh before it uses its
	// password, and for a whole login before it probes beside it.
	hedgeDelay = 4500 * time.Millisecond
	fullProbe  = 8
	// servedFor is the age at which a token that was never refused has served.
	servedFor = 5 * time.Second
	// storeTimeout bounds one question to the store, and storePause is how long one
	// that gave no answer is not asked again.
	storeTimeout = time.Second
	storePause   = time.Second
	// keepAccount is how long an account's record is kept unused, keepFailure how
	// long failures are remembered beyond their pause.
	keepAccount = 7 * 24 * time.Hour
	keepFailure = 10 * time.Minute
	// checkAfter is the age of what is known of a session after which it is looked
	// up again beside its use; mustCheckAfter, after which it is before its use. In
	// between, a session that was signed out at another replica is still served where
	// nobody tells (Options.Watch).
	checkAfter     = 2 * time.Second
	mustCheckAfter = 10 * time.Second
	// unsureWait is how long a session waits for the store where it is not certain what
	// has been heard of it.
	unsureWait = 100 * time.Millisecond
	// forgetAfter is how long an unused session stays in memory.
	forgetAfter = 15 * time.Minute
	// closeGrace is how long Close lets renewals end: their refresh tokens are spent.
	closeGrace = 5 * time.Second
)

// Cache gives each principal its console token. It is safe for concurrent use;
// any number of them, in any number of processes, may share a store.
type Cache struct {
	opts     Options
	accounts atomic.Pointer[map[string]*entry] // by name
	tasks    sync.WaitGroup
	stop     context.Context //nolint:containedctx // ends the renewals under way when the cache closes
	halt     context.CancelFunc
	down     atomic.Int64 // the store is not asked before (Unix nanoseconds)

	sessions sync.Map // of *entry, by the principal's name
	signIns  signInQueue
	mu       sync.Mutex
	closed   bool
	swept    time.Time
}

// New returns a cache. Close ends what it began.
func New(opts Options) *Cache {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.SessionLifetime <= 0 {
		opts.SessionLifetime = 12 * time.Hour
	}
	if opts.Lease <= 0 {
		opts.Lease = 3 * time.Second
	}
	if opts.Store == nil {
		opts.Store = NewMemory(opts.Now)
	}
	if opts.MAC == nil {
		opts.MAC = randomMAC()
	}
	c := &Cache{opts: opts, swept: opts.Now()}
	c.SetAccounts(opts.Accounts)
	c.stop, c.halt = context.WithCancel(context.Background())
	return c
}

// digest names something of the console's in the store.
func (c *Cache) digest(text string) string {
	sum := sha256.Sum256([]byte(c.opts.Realm + "\x00" + text))
	return hex.EncodeToString(sum[:])
}

// Close begins no further renewals, lets those under way end for a while and then
// ends them.
func (c *Cache) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	timer := time.AfterFunc(closeGrace, c.halt)
	c.tasks.Wait()
	timer.Stop()
	c.halt()
}

// Token is the console token of the principal in ctx. It fails with
// UNAUTHENTICATED for a caller who showed nothing, or whose session is unknown or
// has ended, and with what the SSO said where a service account cannot log in:
// FORBIDDEN for one that is locked.
func (c *Cache) Token(ctx context.Context) (string, error) {
	p := principal.FromContext(ctx)
	e, err := c.entryOf(p)
	if err != nil {
		return "", err
	}
	now := c.opts.Now()
	if e == nil {
		if at, ok := p.Expires(); ok && !now.Before(at) {
			return "", fault.New(fault.Unauthenticated, "the console token has expired")
		}
		return p.Token(), nil
	}
	if h := e.cached.Load(); h != nil && now.Before(h.dueAt) && h.revoked() == NotRevoked {
		return h.token.Access, nil
	}
	return c.waitForRefresh(ctx, e, now)
}

// entryOf is what is held for a principal; nil for a caller's own token.
func (c *Cache) entryOf(p principal.Principal) (*entry, error) {
	switch p.Kind() {
	case principal.PassThrough:
		return nil, nil
	case principal.Service:
		if e := (*c.accounts.Load())[p.Account()]; e != nil {
			return e, nil
		}
		return nil, fault.New(fault.Unauthenticated, "no credentials, and no service account is configured")
	case principal.Session:
		e, ok := c.sessions.Load(p.Name())
		if !ok {
			c.sweep()
			e, _ = c.sessions.LoadOrStore(p.Name(), &entry{key: c.sessionKey(p.Name()), name: p.Name()})
		}
		return e.(*entry), nil
	default:
		return nil, fault.New(fault.Unauthenticated,
			"no credentials: send a console token or a session token as Authorization: Bearer, or an API key as X-Api-Key")
	}
}

// Refused gives up a token that the console did not accept before its time, so
// that the principal's next call renews it, once for all that were refused it.
// After that, a token that is young is kept, since the next would hardly fare
// better; the more often that happens in a row, the older it has to be. A token
// that was not refused in its first seconds ends the row: it served. A caller's own token is the caller's matter.
func (c *Cache) Refused(ctx context.Context, token string) {
	e, err := c.entryOf(principal.FromContext(ctx))
	if err != nil || e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	h, now := e.cached.Load(), c.opts.Now()
	if h == nil || h.token.Access != token || h.refused {
		return
	}
	age := now.Sub(h.token.Obtained)
	if now.Sub(e.gaveUp) > 2*maxPause || e.doubted != token && age >= servedFor {
		e.gaveUps = 0
	}
	if young := backoff.Exponential(firstPause, maxPause, e.gaveUps); e.gaveUps > 0 && age < min(young, h.token.life()/2) {
		e.doubted = token
		return
	}
	e.gaveUps, e.gaveUp = e.gaveUps+1, now
	given := *h
	given.refused, given.dueAt, given.goodUntil = true, time.Time{}, time.Time{}
	e.cached.Store(&given)
}

// Warm obtains the default service account's token before anyone asks for it.
func (c *Cache) Warm(ctx context.Context) error {
	if (*c.accounts.Load())[principal.DefaultAccount] == nil {
		return nil
	}
	_, err := c.Token(principal.NewContext(ctx, principal.DefaultService()))
	return err
}

// sweep forgets sessions that have not been used for long, from time to time.
func (c *Cache) sweep() {
	now := c.opts.Now()
	c.mu.Lock()
	due := now.Sub(c.swept) >= time.Minute
	if due {
		c.swept = now
	}
	c.mu.Unlock()
	if !due {
		return
	}
	c.sessions.Range(func(name, value any) bool {
		e := value.(*entry)
		e.mu.Lock()
		defer e.mu.Unlock()
		// What is looked up again while in use has not been used for as long as that is ago.
		if h := e.cached.Load(); e.call == nil && (h == nil || now.Sub(h.checked) > forgetAfter) {
			c.sessions.CompareAndDelete(name, e)
		}
		return true
	})
}
