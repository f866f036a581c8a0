package tokencache

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"time"

	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/fault"
)

// login is a service account's user name and password, and their state.
type login struct {
	Account
	refusedUntil atomic.Int64 // the password is not tried before (Unix nanoseconds)
	changed      bool         // the password was changed, so that older tokens do not prove it
	accepted     atomic.Bool  // the SSO has accepted the password
	warned       atomic.Bool  // the log says that the SSO does not accept it
}

// SetAccounts replaces the service accounts. An account keeps its tokens if it is unchanged or
// has a new password. It tries the new password when it next needs one. A name must not be
// given to another user, since caches know accounts by name.
func (c *Cache) SetAccounts(accounts map[string]Account) {
	c.accountsMu.Lock()
	defer c.accountsMu.Unlock()
	var before map[string]*entry
	if p := c.accounts.Load(); p != nil {
		before = *p
	}
	after := make(map[string]*entry, len(accounts))
	for name, account := range accounts {
		e := before[name]
		if e == nil || e.account.Load().Username != account.Username {
			e = &entry{key: "account:" + c.digest(account.Username), name: name}
		}
		if l := e.account.Load(); l == nil || l.Account != account {
			e.setAccount(account)
		}
		after[name] = e
	}
	c.accounts.Store(&after)
}

func (e *entry) setAccount(account Account) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.account.Store(&login{Account: account, changed: e.account.Load() != nil})
	e.retryAt, e.failed = time.Time{}, nil
}

// observedLogin is login, whose outcome it passes to Options.ObserveLogin.
func (c *Cache) observedLogin(ctx context.Context, e *entry, refresh string, spent bool, failures int) (Token, error) {
	token, err := c.login(ctx, e, refresh, spent, failures)
	if c.opts.ObserveLogin != nil && (err == nil || !grantError(err).remembered) {
		c.opts.ObserveLogin(e.name, err)
	}
	return token, err
}

// login obtains a service account's token, by the refresh token unless that is spent, and otherwise by the password. If
// the password is refused, a spent refresh token is tried, too. failures is the number of failed attempts in a row.
func (c *Cache) login(ctx context.Context, e *entry, refresh string, spent bool, failures int) (Token, error) {
	if l := e.account.Load(); refresh != "" && !l.changed {
		l.accepted.Store(true)
	}
	if refresh == e.invalidRefresh {
		refresh = ""
	}
	var failed error // error of the refresh token, if its outcome is unknown
	if refresh != "" && !spent {
		token, err := c.refreshAccount(ctx, e, refresh)
		if err == nil {
			return token, nil
		}
		if grantError(err).Reason == Unavailable {
			failed = err
		}
	}
	token, err := c.logIn(ctx, e, failures)
	if err == nil || grantError(err).Reason == Unavailable {
		return token, err
	}
	if refresh != "" && spent {
		token, refreshErr := c.refreshAccount(ctx, e, refresh)
		if refreshErr == nil {
			return token, nil
		}
		if grantError(refreshErr).Reason == Unavailable {
			failed = refreshErr
		}
	}
	if failed != nil {
		return Token{}, failed // the next attempt may succeed
	}
	return Token{}, err
}

// refreshAccount is the refresh grant of a service account. It has a short timeout, since there is also the password.
func (c *Cache) refreshAccount(ctx context.Context, e *entry, refresh string) (Token, error) {
	ctx, cancel := context.WithTimeout(ctx, hedgeDelay)
	defer cancel()
	token, err := c.refresh(ctx, refresh)
	if err != nil {
		g := grantError(err)
		if g.Reason == Refused {
			e.invalidRefresh = refresh
		}
		c.opts.Logger.InfoContext(ctx, "a service account's token was not refreshed", "account", e.name, "reason", string(g.Reason))
	}
	return token, err
}

// logIn is the password grant of a service account. A password that was refused, here or at
// another replica, is not tried again for refusedPause: consoles lock accounts.
func (c *Cache) logIn(ctx context.Context, e *entry, failures int) (Token, error) {
	l := e.account.Load()
	key := "refused:" + c.opts.MAC(c.digest(l.Username)+"\x00"+l.Password)
	if until := c.refusedUntil(ctx, l, key); c.opts.Now().Before(until) {
		return Token{}, &GrantError{
			Reason: Refused, remembered: true,
			Err: fault.New(fault.Unauthenticated, "the console has refused the password"),
		}
	}
	try := c.password
	switch {
	case failures%fullTimeoutEvery != 0:
		try = c.probe
	case l.accepted.Load():
		try = c.hedgedLogin
	}
	token, err := try(ctx, l.Username, l.Password)
	if err == nil {
		l.accepted.Store(true)
	}
	if err != nil && grantError(err).Reason == Refused {
		l.refusedUntil.Store(c.opts.Now().Add(refusedPause).UnixNano())
		c.fail(context.WithoutCancel(ctx), key, "", Failure{Reason: Refused, InitialPause: refusedPause, MaxPause: refusedPause})
	}
	return token, err
}

// probe is the password grant with a short timeout.
func (c *Cache) probe(ctx context.Context, username, password string) (Token, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return c.password(ctx, username, password)
}

// hedgedLogin is the password grant with the full timeout. If it takes long, probes run beside it,
// so that a hanging grant does not outlast the outage of the SSO. It is used only for a
// password that the SSO has accepted: cancelled grants may count as attempts.
func (c *Cache) hedgedLogin(ctx context.Context, username, password string) (Token, error) {
	ctx, cancel := context.WithCancel(ctx)
	type outcome struct {
		token Token
		err   error
	}
	probed := make(chan outcome, 1)
	var probes sync.WaitGroup
	probes.Go(func() {
		for pause := hedgeDelay; backoff.Wait(ctx, pause); pause = probePause {
			token, err := c.probe(ctx, username, password)
			if err == nil || grantError(err).Reason != Unavailable {
				probed <- outcome{token, err}
				cancel()
				return
			}
		}
	})
	token, err := c.password(ctx, username, password)
	cancel()
	probes.Wait()
	select {
	case o := <-probed:
		if err != nil {
			return o.token, o.err
		}
	default:
	}
	return token, err
}

// refusedUntil returns the time before which a login is not tried, from this process or the store.
func (c *Cache) refusedUntil(ctx context.Context, l *login, key string) time.Time {
	until := time.Unix(0, l.refusedUntil.Load())
	if c.opts.Now().Before(until) {
		return until
	}
	r, err := c.load(ctx, key, nil)
	if err != nil || r.Failures == 0 {
		return time.Time{}
	}
	l.refusedUntil.Store(r.Until.UnixNano())
	return r.Until
}

// accountFailure returns the effect of a service account's failed login on later attempts.
func (c *Cache) accountFailure(e *entry, err error) Failure {
	g, l := grantError(err), e.account.Load()
	if !g.remembered || l.warned.CompareAndSwap(false, true) {
		l.warned.Store(g.Reason == Refused)
		c.opts.Logger.Info("a service account cannot log in", "account", e.name, "reason", string(g.Reason), "code", fault.CodeOf(g.Err))
	}
	f := failure(g, probePause)
	if g.Reason == Refused {
		f.MaxPause = f.InitialPause
	}
	return f
}

// failure returns the effect of a failed grant on later attempts.
func failure(g *GrantError, most time.Duration) Failure {
	f := Failure{Reason: g.Reason, InitialPause: firstPause, MaxPause: maxPause, MinPause: min(g.RetryAfter, maxPause)}
	switch g.Reason {
	case Unavailable:
		f.InitialPause, f.MaxPause = backoff.Jitter(shortPause, 0.5), backoff.Jitter(most, 0.5)
	case Locked:
		f.InitialPause = maxPause
	case Refused:
	}
	return f
}

// randomMAC returns a keyed hash with a random key.
func randomMAC() func(string) string {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	return func(text string) string { return mac(key, text) }
}

// mac returns the HMAC-SHA256 of a text, in hexadecimal.
func mac(key []byte, text string) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil))
}
