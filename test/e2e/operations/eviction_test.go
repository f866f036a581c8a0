package operations

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestEvictionPolicy verifies the warning about a Redis that may evict keys.
func TestEvictionPolicy(t *testing.T) {
	t.Parallel()
	for policy, warned := range map[string]bool{"noeviction": false, "allkeys-lru": true, "volatile-ttl": true} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			store := redistest.Start(t)
			client := redis.NewClient(&redis.Options{Addr: store.Addr()})
			defer client.Close()
			if err := client.ConfigSet(t.Context(), "maxmemory-policy", policy).Err(); err != nil {
				t.Fatal(err)
			}
			w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache, func(s *gateway.Settings, _ *consolesim.Server) { s.RedisURL = store.URL() })
			e2e.Await(t, "the question to Redis", func() bool {
				return strings.Contains(w.Metrics(), `consoleql_redis_command_duration_seconds_count{command="info",failed="false"}`)
			})
			w.Stop()
			if err := w.Stopped(); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(w.Logs.String(), `"maxmemory_policy":"`+policy+`"`); got != warned {
				t.Errorf("warned: %v\n%s", got, w.Logs)
			}
		})
	}
}
