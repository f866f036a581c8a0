// Package tokencache keeps the console tokens of principals (docs/identity.md): those of service
// accounts, and those of sessions, which signIn begins. A caller's own token passes through.
//
// A token in memory is returned while it is good. Before its end it is renewed in the
// background. One goroutine of one replica claims its record in the Store, uses the refresh
// token, and stores the new tokens. The other replicas read those. A refresh token works once
// (document, section Authentication: refresh token). The outcome of a refresh may be unknown,
// as after a 502 or the death of the replica. Then a session tries the same refresh token
// again, and ends only if the SSO refuses it. A service account logs in by its password.
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
	"github.com/consoleql/consoleql/internal/tokencache/signinqueue"
)

// DefaultSessionLifetime is the default of Options.SessionLifetime.
const DefaultSessionLifetime = 12 * time.Hour

// Options are the parameters of a Cache.
type Options struct {
	Grants Grants
	// Accounts are the service accounts by name; see principal.DefaultAccount and
	// Cache.SetAccounts.
	Accounts map[string]Account
	// MAC is a keyed hash. Its value names a refused password in the store. All replicas that
	// share the store must have the same one; default: with a random key.
	MAC func(text string) string
	// Store keeps the records; default: a new Memory.
	Store Store
	// Realm names the console, such as by the SSO's address. It keeps apart the records of two
	// consoles in one store.
	Realm string
	// SessionLifetime is how long a session lasts after its signIn; default DefaultSessionLifetime.
	SessionLifetime time.Duration
	// Lease is how long a claim lasts without an extension; default 3 s. The holder extends
	// its claim while it waits for the SSO.
	Lease time.Duration
	// Watch begins to watch a session, by its principal's name. The function that it returns
	// reports whether the session has ended since, through any replica. It must be quick. A nil
	// Watch watches nothing.
	Watch func(name string) (revocation func() Revocation)
	// SignedOut announces to other replicas that a session has ended, after a sign-out that the store could not confirm
	// at first. It gets the name of the session's principal, and may be nil.
	SignedOut func(ctx context.Context, name string)
	// Now is the clock; default time.Now.
	Now func() time.Time
	// ObserveLogin, if not nil, receives the outcome of each attempt to obtain a service account's token from the SSO:
	// nil, or a *GrantError. An account whose refused password is not tried again makes no attempt.
	ObserveLogin func(account string, err error)
	// Logger receives failed grants, without secrets; default: discarded.
	Logger *slog.Logger
}

// Revocation says whether a session is known to be ended.
type Revocation uint8

// The values of Revocation.
const (
	NotRevoked        Revocation = iota // the session was not ended
	RevocationUnknown                   // the session may have ended without a message
	Revoked                             // the session was ended
)

// The times of a token.
const (
	// renewAhead is how long before its end a token is renewed, but at most a fifth of its
	// life.
	renewAhead = 5 * time.Minute
	// expiryMargin is subtracted from a token's life, since a call takes time, but at most a
	// tenth of its life.
	expiryMargin = 5 * time.Second
	// grantTimeout bounds one renewal, which goes on without the caller that began it.
	grantTimeout = 40 * time.Second
	// firstPause and maxPause bound the pause after a refused login. refusedPause is the pause
	// of a refused password of a service account.
	firstPause   = time.Second
	maxPause     = time.Minute
	refusedPause = time.Hour
	// shortPause is the first pause while the SSO fails. probePause is the longest one of a
	// service account, which all replicas share, and sessionPause that of a session.
	shortPause   = 100 * time.Millisecond
	probePause   = 2 * time.Second
	sessionPause = 5 * time.Second
	// probeTimeout bounds the logins of a service account after a failure, so that a hanging
	// login does not outlast the outage of the SSO. Each fullTimeoutEvery-th login has the full
	// timeout, for an SSO that has become slow.
	probeTimeout = 2500 * time.Millisecond
	// hedgeDelay is how long a service account waits for a refresh before it uses its
	// password, and for a login before it probes beside it.
	hedgeDelay       = 4500 * time.Millisecond
	fullTimeoutEvery = 8
	// acceptedAfter is the age after which a token counts as accepted by the console, unless it
	// was refused.
	acceptedAfter = 5 * time.Second
	// storeTimeout bounds one call to the store. After a failure the store is not called for
	// storePause.
	storeTimeout = time.Second
	storePause   = time.Second
	// accountTTL is how long an unused record of an account is kept. failureTTL is how long
	// failures are remembered beyond their pause.
	accountTTL = 7 * 24 * time.Hour
	failureTTL = 10 * time.Minute
	// checkAfter is the age after which a session is read again in the background. After
	// mustCheckAfter it is read before it is used. In between, a session that was signed out
	// at another replica is still used if Options.Watch tells nothing.
	checkAfter     = 2 * time.Second
	mustCheckAfter = 10 * time.Second
	// revocationWait is how long a session waits for the store if it may have been ended unheard.
	revocationWait = 100 * time.Millisecond
	// forgetAfter is how long an unused session stays in memory.
	forgetAfter = 15 * time.Minute
	// closeGrace is how long Close waits for renewals, since their refresh tokens are spent.
	closeGrace = 5 * time.Second
)

// Cache returns the console token of each principal. It is safe for concurrent use. Any number
// of caches, in any number of processes, may share a store.
type Cache struct {
	opts       Options
	accounts   atomic.Pointer[map[string]*entry] // by name
	accountsMu sync.Mutex                        // of SetAccounts, which takes those of entries
	tasks      sync.WaitGroup
	stop       context.Context //nolint:containedctx // ends the renewals under way when the cache closes
	halt       context.CancelFunc
	down       atomic.Int64 // the store is not called before (Unix nanoseconds)
	settled    atomic.Int64 // a while after the store's last failure (Unix nanoseconds)

	sessions sync.Map // of *entry, by the principal's name
	signIns  *signinqueue.Queue
	signOuts pendingSignOuts
	mu       sync.Mutex
	closed   bool
	swept    time.Time
}

// New returns a Cache; Close ends it.
func New(opts Options) *Cache {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.SessionLifetime <= 0 {
		opts.SessionLifetime = DefaultSessionLifetime
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
	c := &Cache{opts: opts, swept: opts.Now(), signIns: signinqueue.New()}
	c.SetAccounts(opts.Accounts)
	c.stop, c.halt = context.WithCancel(context.Background())
	return c
}

// digest returns the name of something of this console in the store.
func (c *Cache) digest(text string) string {
	sum := sha256.Sum256([]byte(c.opts.Realm + "\x00" + text))
	return hex.EncodeToString(sum[:])
}

// NameInLogs returns a keyed hash of a text for logs, which tells equal texts and not what they are. Replicas that share
// token keys compute the same; without keys, each process computes its own.
func (c *Cache) NameInLogs(text string) string { return c.opts.MAC("log\x00" + text)[:nameBytes] }

// nameBytes is the length of a name in logs, in hexadecimal digits.
const nameBytes = 32

// Close begins no more renewals, and waits for those under way. After closeGrace it cancels
// them.
func (c *Cache) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	timer := time.AfterFunc(closeGrace, c.halt)
	c.tasks.Wait()
	timer.Stop()
	c.halt()
}

// Token returns the console token of the principal in ctx. It fails with UNAUTHENTICATED for
// callers without credentials, and for sessions that are unknown or have ended. If a service
// account cannot log in, it fails with the SSO's reason: FORBIDDEN for a locked account.
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
	if cached := e.cached.Load(); cached != nil && now.Before(cached.dueAt) && cached.revocationState() == NotRevoked {
		return cached.token.Access, nil
	}
	return c.waitForRefresh(ctx, e, now)
}

// entryOf returns the entry of a principal; nil for a caller's own token.
func (c *Cache) entryOf(p principal.Principal) (*entry, error) {
	switch p.Credential() {
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

// Refused discards a token that the console refused before its end. The principal's next call
// renews it, once for all calls that were refused. After that, a young token is kept, since
// the next one would hardly be accepted. With each refusal in a row, the age of a young token
// grows. A token that was not refused in its first seconds ends the row. A caller's own token
// is ignored.
func (c *Cache) Refused(ctx context.Context, token string) {
	e, err := c.entryOf(principal.FromContext(ctx))
	if err != nil || e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	cached, now := e.cached.Load(), c.opts.Now()
	if cached == nil || cached.token.Access != token || cached.refused {
		return
	}
	age := now.Sub(cached.token.Obtained)
	if now.Sub(e.discardedAt) > 2*maxPause || e.lastRefused != token && age >= acceptedAfter {
		e.discards = 0
	}
	if young := backoff.Exponential(firstPause, maxPause, e.discards); e.discards > 0 && age < min(young, cached.token.life()/2) {
		e.lastRefused = token
		return
	}
	e.discards, e.discardedAt = e.discards+1, now
	given := *cached
	given.refused, given.dueAt, given.goodUntil = true, time.Time{}, time.Time{}
	e.cached.Store(&given)
}

// Warm obtains the default service account's token in advance.
func (c *Cache) Warm(ctx context.Context) error {
	if (*c.accounts.Load())[principal.DefaultAccount] == nil {
		return nil
	}
	_, err := c.Token(principal.NewContext(ctx, principal.DefaultService()))
	return err
}

// sweep removes sessions that were not used for long, once a minute.
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
		// A session that is used is also read again, so that checked tells its last use.
		if cached := e.cached.Load(); e.call == nil && (cached == nil || now.Sub(cached.checked) > forgetAfter) {
			c.sessions.CompareAndDelete(name, e)
		}
		return true
	})
}

// HasAccount reports whether there is a service account with that name.
func (c *Cache) HasAccount(name string) bool {
	accounts := c.accounts.Load()
	return accounts != nil && (*accounts)[name] != nil
}
