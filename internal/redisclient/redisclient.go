// Package redisclient creates the client of Redis.
package redisclient

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/telemetry"
)

// Dial creates a client from a Redis URL in go-redis' forms. master_name selects Sentinel, and further addr parameters a
// Cluster. Otherwise the URL is a single server. It does not connect yet. Its error never repeats the URL, which may
// hold a password.
func Dial(address string, d *Dialer) (redis.UniversalClient, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errURL
	}
	switch q := u.Query(); {
	case q.Has("master_name"):
		o, err := redis.ParseFailoverURL(address)
		if err != nil {
			return nil, errURL
		}
		o.ContextTimeoutEnabled = true
		o.Dialer = d.dialer(o.TLSConfig)
		return redis.NewFailoverClient(o), nil
	case q.Has("addr"):
		o, err := redis.ParseClusterURL(address)
		if err != nil {
			return nil, errURL
		}
		o.ContextTimeoutEnabled = true
		o.Dialer = d.dialer(o.TLSConfig)
		followCluster(o)
		return redis.NewClusterClient(o), nil
	default:
		o, err := redis.ParseURL(address)
		if err != nil {
			return nil, errURL
		}
		o.ContextTimeoutEnabled = true
		o.Dialer = d.dialer(o.TLSConfig)
		return redis.NewClient(o), nil
	}
}

// followCluster makes a client detect a failover quickly. By default go-redis reloads the state once a minute, and
// waits long for dead servers.
func followCluster(o *redis.ClusterOptions) {
	o.ClusterStateReloadInterval = time.Second
	o.DialTimeout = cmp.Or(o.DialTimeout, time.Second)
	o.DialerRetries = cmp.Or(o.DialerRetries, 1)
}

// errURL does not repeat the URL or go-redis' error, because misplaced parts may be a password.
var errURL = errors.New("--redis-url is none of redis:// or rediss:// as go-redis knows them, with a database as its path and known options")

// Dialer connects one gateway's client to Redis and logs connections that fail. The logger of go-redis belongs to
// the process and not to a client, so nothing else logs them. go-redis bounds each dial by its DialTimeout.
type Dialer struct {
	log *telemetry.ConnectionLog

	ctx   context.Context //nolint:containedctx // ends with the gateway
	stop  context.CancelFunc
	mu    sync.Mutex // orders dials.Add and Close
	dials sync.WaitGroup
}

// NewDialer returns a dialer. Close ends it.
func NewDialer(log *slog.Logger) *Dialer {
	ctx, stop := context.WithCancel(context.Background())
	return &Dialer{log: telemetry.NewConnectionLog(log, "Redis"), ctx: ctx, stop: stop}
}

// dialer is an Options.Dialer of go-redis, whose own TLS dialer ignores the context.
func (d *Dialer) dialer(config *tls.Config) func(ctx context.Context, network, addr string) (net.Conn, error) {
	dial := (&net.Dialer{}).DialContext
	if config != nil {
		dial = (&tls.Dialer{Config: config}).DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if !d.begin() {
			return nil, redis.ErrClosed
		}
		defer d.dials.Done()
		dialing, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(d.ctx, cancel)() //nolint:contextcheck // the end of the gateway cancels the dial, too
		conn, err := dial(dialing, network, addr)
		switch {
		case err == nil:
			d.log.Connected(addr)
		case !errors.Is(ctx.Err(), context.Canceled) && d.ctx.Err() == nil:
			d.log.Failed(addr, err)
		}
		return conn, err //nolint:wrapcheck // go-redis inspects the error
	}
}

func (d *Dialer) begin() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx.Err() != nil {
		return false
	}
	d.dials.Add(1)
	return true
}

// Close cancels the dials in flight and refuses further ones.
func (d *Dialer) Close() {
	d.mu.Lock()
	d.stop()
	d.mu.Unlock()
	d.dials.Wait()
	d.log.Close()
}

// Cause describes why Redis does not answer, without its password and without data from the peer.
func Cause(err error) string {
	var reply redis.Error
	text := err.Error()
	switch {
	case redis.HasErrorPrefix(err, "WRONGPASS"), redis.HasErrorPrefix(err, "NOAUTH"):
		return "it refuses the user or the password in --redis-url"
	case redis.HasErrorPrefix(err, "NOPERM"):
		return "the user in --redis-url may not send the command"
	case errors.As(err, &reply):
		return "it answers an error"
	case errors.Is(err, context.Canceled): // go-redis ends a connection that takes too long
		return "timed out"
	case errors.Is(err, redis.ErrPoolTimeout):
		return "timed out"
	case strings.HasPrefix(text, "redis: can't parse"), strings.HasPrefix(text, "redis: invalid"), strings.HasPrefix(text, "redis: got"), strings.HasPrefix(text, "strconv."):
		return "it does not answer as Redis does" // the text repeats the peer's data
	}
	return telemetry.ConnectionCause(err)
}
