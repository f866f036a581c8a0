package gateway

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/redisclient"
)

// checkRedis warns once, when Redis first answers, if it may evict keys: a repeated mutation could then be executed
// again. It returns when Redis has answered or ctx is done.
func (g *Gateway) checkRedis(ctx context.Context) {
	for {
		info, err := g.redis.Info(ctx, "memory").Result()
		if err == nil {
			if policy := infoValue(info, "maxmemory_policy"); policy != "" && policy != "noeviction" {
				g.log.Warn("Redis may evict keys, and with them the results of mutations with an idempotencyKey: set maxmemory-policy to noeviction", "maxmemory_policy", policy)
			}
			return
		}
		if _, ok := errors.AsType[redis.Error](err); ok { // the user may not ask, or Redis is loading
			g.log.Info("the eviction policy of Redis is not known", "error", redisclient.Cause(err))
			return
		}
		if !backoff.Wait(ctx, redisCheckPause) {
			return
		}
	}
}

// redisCheckPause is the time between two attempts of checkRedis.
const redisCheckPause = 5 * time.Second

// infoValue returns a value of the answer to INFO; empty if it is missing.
func infoValue(info, name string) string {
	for line := range strings.Lines(info) {
		if key, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok && key == name {
			return value
		}
	}
	return ""
}
