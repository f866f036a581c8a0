package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/telemetry"
)

// dialRedis makes a client of a Redis URL in one of go-redis' forms: with
// master_name it names Sentinels, with further addr parameters a Cluster, else
// one server. It does not connect yet. Its error never repeats the URL, which
// may hold a password.
func dialRedis(address string, d *redisDialer) (redis.UniversalClient, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errRedisURL
	}
	switch q := u.Query(); {
	case q.Has("master_name"):
		o, err := redis.ParseFailoverURL(address)
		if err != nil {
			return nil, errRedisURL
		}
		o.ContextTimeoutEnabled = true
		o.Dialer = d.dialer(o.TLSConfig)
		return redis.NewFailoverClient(o), nil
	case q.Has("addr"):
		o, err := redis.ParseClusterURL(address)
		if err != nil {
			return nil, errRedisURL
		}
		o.ContextTimeoutEnabled = true
		o.Dialer = d.dialer(o.TLSConfig)
		followCluster(o)
		return redis.NewClusterClient(o), nil
	default:
		o, err := redis.ParseURL(address)
		if err != nil {
			return nil, errRedisURL
		}
		o.ContextTimeoutEnabled = true
		o.Dialer = d.dialer(o.TLSConfig)
		return redis.NewClient(o), nil
	}
}

// followCluster lets a client hear soon that a master is gone and who is in its place. By
// itself go-redis asks once a minute, and waits long for servers that do not answer.
func followCluster(o *redis.ClusterOptions) {
	o.ClusterStateReloadInterval = time.Second
	if o.DialTimeout == 0 {
		o.DialTimeout = time.Second
	}
	if o.DialerRetries == 0 {
		o.DialerRetries = 1
	}
}

// errRedisURL says nothing of what the URL holds: go-redis repeats what it does not know, which
// may be a password that is not where it should be.
var errRedisURL = errors.New("--redis-url is none of redis:// or rediss:// as go-redis knows them, with a database as its path and known options")

// redisDialer connects one gateway's client to Redis and logs connections that fail. The logger of go-redis belongs to
// the process and not to a client, so nothing else logs them. go-redis bounds each dial by its DialTimeout.
type redisDialer struct {
	log *telemetry.ConnectionLog

	ctx   context.Context //nolint:containedctx // ends with the gateway
	stop  context.CancelFunc
	mu    sync.Mutex // orders dials.Add and Close
	dials sync.WaitGroup
}

func newRedisDialer(log *slog.Logger) *redisDialer {
	ctx, stop := context.WithCancel(context.Background())
	return &redisDialer{log: telemetry.NewConnectionLog(log, "Redis"), ctx: ctx, stop: stop}
}

// dialer is an Options.Dialer of go-redis, whose own TLS dialer ignores the context.
func (d *redisDialer) dialer(config *tls.Config) func(ctx context.Context, network, addr string) (net.Conn, error) {
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
		return conn, err //nolint:wrapcheck // go-redis looks into it
	}
}

func (d *redisDialer) begin() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx.Err() != nil {
		return false
	}
	d.dials.Add(1)
	return true
}

// Close ends the dials under way and refuses further ones.
func (d *redisDialer) Close() {
	d.mu.Lock()
	d.stop()
	d.mu.Unlock()
	d.dials.Wait()
	d.log.Close()
}
