// Package tokencache keeps the console tokens with which principals ask. It
// knows one service account, in memory; a caller's own token passes through.
package tokencache

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/principal"
)

// Token is what the SSO granted (document, section Authentication).
type Token struct {
	Access  string
	Refresh string // works once; empty where the SSO gave none
	Expires time.Time
}

// LogValue keeps the token out of logs.
func (Token) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// String keeps the token out of printed values.
func (Token) String() string { return "[redacted]" }

// GoString keeps the token out of %#v.
func (Token) GoString() string { return "[redacted]" }

// Grants are the SSO's two grants.
type Grants interface {
	Password(ctx context.Context, username, password string) (Token, error)
	Refresh(ctx context.Context, refreshToken string) (Token, error)
}

// Account is a console login.
type Account struct{ Username, Password string }

// Options are what a Cache is made of.
type Options struct {
	Grants Grants
	// Account is the default service account; with an empty Username there is none.
	Account Account
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Logger is told of grants that failed, without their secrets; default: discarded.
	Logger *slog.Logger
}

// The times of an account's token.
const (
	// grantTimeout bounds one grant, which outlives the caller that began it.
	grantTimeout = 30 * time.Second
	// renewAt is the part of a token's life after which it is renewed beside its use.
	renewAt = 0.75
	// expiryMargin is taken off a token's life for the time that a call is under way.
	expiryMargin = 5 * time.Second
	// firstPause and maxPause bound how long a refused login is not tried again.
	firstPause = time.Second
	shortPause = 100 * time.Millisecond
	maxPause   = time.Minute
)

// Cache gives each principal its console token. It is safe for concurrent use.
type Cache struct {
	opts  Options
	tasks sync.WaitGroup
	stop  context.Context //nolint:containedctx // ends the grants under way when the cache closes
	close context.CancelFunc

	mu      sync.Mutex
	token   Token
	renewed time.Time // when token came
	grant   *grant    // under way, or nil
	pause   time.Duration
	until   time.Time // no login before
	refused error     // why
}

// grant is one exchange with the SSO that any number of callers wait for.
type grant struct {
	done chan struct{}
	err  error
}

// New returns a cache. Close ends what it began.
func New(opts Options) *Cache {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Cache{opts: opts}
	c.stop, c.close = context.WithCancel(context.Background())
	return c
}

// Close ends the grants under way and waits for them.
func (c *Cache) Close() {
	c.close()
	c.tasks.Wait()
}

// Token is the console token of the principal in ctx. It fails with
// UNAUTHENTICATED for a caller who showed nothing, and with what the SSO said
// where the service account cannot log in.
func (c *Cache) Token(ctx context.Context) (string, error) {
	switch p := principal.FromContext(ctx); p.Kind() {
	case principal.PassThrough:
		return p.Token(), nil
	case principal.Service:
		return c.account(ctx)
	default:
		return "", fault.New(fault.Unauthenticated, "no credentials: send a console token as Authorization: Bearer")
	}
}

// Refused gives up a token that the console did not accept before its time: the
// service account's next call renews it. One that is that young is kept, since
// the next would hardly fare better. A caller's own token is the caller's matter.
func (c *Cache) Refused(ctx context.Context, token string) {
	if principal.FromContext(ctx).Kind() != principal.Service {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token.Access == token && c.opts.Now().Sub(c.renewed) >= firstPause {
		c.token.Access = ""
	}
}

// Warm obtains the service account's token before anyone asks for it.
func (c *Cache) Warm(ctx context.Context) error {
	if c.opts.Account.Username == "" {
		return nil
	}
	_, err := c.account(ctx)
	return err
}

// account is the service account's token: the one in memory while it is good,
// renewed beside its use when it grows old, waited for only where there is none.
func (c *Cache) account(ctx context.Context) (string, error) {
	if c.opts.Account.Username == "" {
		return "", fault.New(fault.Unauthenticated, "no credentials, and no service account is configured")
	}
	c.mu.Lock()
	now := c.opts.Now()
	good := c.token.Access != "" && now.Before(c.token.Expires.Add(-c.margin()))
	if good && now.Before(c.renewTime()) {
		defer c.mu.Unlock()
		return c.token.Access, nil
	}
	if now.Before(c.until) {
		defer c.mu.Unlock()
		if good {
			return c.token.Access, nil
		}
		return "", c.refused
	}
	g := c.grant
	if g == nil {
		g = c.begin() //nolint:contextcheck // a grant serves every caller, so no single one may end it
	}
	access := c.token.Access
	c.mu.Unlock()
	if good {
		return access, nil
	}
	select {
	case <-g.done:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if g.err != nil {
		return "", g.err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token.Access, nil
}

// margin keeps the whole of a very short life from being margin.
func (c *Cache) margin() time.Duration {
	return min(expiryMargin, c.token.Expires.Sub(c.renewed)/10)
}

func (c *Cache) renewTime() time.Time {
	life := c.token.Expires.Sub(c.renewed)
	return c.renewed.Add(time.Duration(float64(life) * renewAt))
}

// begin starts a grant. The caller holds c.mu.
func (c *Cache) begin() *grant {
	g := &grant{done: make(chan struct{})}
	c.grant = g
	old := c.token
	c.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(c.stop, grantTimeout)
		defer cancel()
		token, err := c.obtain(ctx, old)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.settle(token, err)
		g.err = err
		c.grant = nil
		close(g.done)
	})
	return g
}

// obtain renews the token, by the refresh token where there is one and by
// logging in where there is none or it is refused.
func (c *Cache) obtain(ctx context.Context, old Token) (Token, error) {
	if old.Refresh != "" {
		token, err := c.opts.Grants.Refresh(ctx, old.Refresh)
		if err == nil {
			return token, nil
		}
		c.opts.Logger.Info("token not refreshed, logging in", "code", fault.CodeOf(err))
	}
	return c.opts.Grants.Password(ctx, c.opts.Account.Username, c.opts.Account.Password)
}

// settle keeps the outcome of a grant. The caller holds c.mu.
func (c *Cache) settle(token Token, err error) {
	if err == nil {
		c.token, c.renewed = token, c.opts.Now()
		c.pause, c.until, c.refused = 0, time.Time{}, nil
		return
	}
	// Whatever the failure was, the refresh token may have been spent by it.
	c.token.Refresh = ""
	least := firstPause
	if fault.CodeOf(err) != fault.Unauthenticated {
		least = shortPause // the SSO, not the account, is in trouble
	}
	c.pause = min(max(2*c.pause, least), maxPause)
	c.until, c.refused = c.opts.Now().Add(c.pause), err
	c.opts.Logger.Warn("the service account cannot log in", "code", fault.CodeOf(err), "pause", c.pause)
}
