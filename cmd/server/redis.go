package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/redis/go-redis/v9"
)

// dialRedis makes a client of a Redis URL in one of go-redis' forms: with
// master_name it names Sentinels, with further addr parameters a Cluster, else
// one server. It does not connect yet. Its error never repeats the URL, which
// may hold a password.
func dialRedis(address string) (redis.UniversalClient, error) {
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
		return redis.NewFailoverClient(o), nil
	case q.Has("addr"):
		o, err := redis.ParseClusterURL(address)
		if err != nil {
			return nil, errRedisURL
		}
		o.ContextTimeoutEnabled = true
		followCluster(o)
		return redis.NewClusterClient(o), nil
	default:
		o, err := redis.ParseURL(address)
		if err != nil {
			return nil, errRedisURL
		}
		o.ContextTimeoutEnabled = true
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

// redisLog takes what go-redis has to say of its connections into the log.
type redisLog struct{ log *slog.Logger }

// Printf is how go-redis speaks.
func (l redisLog) Printf(ctx context.Context, format string, v ...any) {
	l.log.WarnContext(ctx, "redis", "says", fmt.Sprintf(format, v...))
}
