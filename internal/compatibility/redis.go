package compatibility

import (
	"context"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// leastRedis is the oldest major version of Redis that has the commands of the gateway.
const leastRedis = 7

// Redis checks the version, the eviction policy and the persistence of a Redis. cause describes an error without
// secrets.
func (r *Report) Redis(ctx context.Context, client redis.UniversalClient, cause func(error) string) {
	const part = "Redis"
	info, err := client.Info(ctx).Result()
	if err != nil {
		r.Fail(part, "it does not answer: %s", cause(err))
		return
	}
	values := make(map[string]string)
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			values[name] = value
		}
	}
	version := values["redis_version"]
	if major, err := strconv.Atoi(strings.Split(version, ".")[0]); err != nil || major < leastRedis {
		r.Fail(part, "its version is %s, and must be %d or later", version, leastRedis)
	} else {
		r.OK(part, "its version is %s", version)
	}
	if policy := values["maxmemory_policy"]; policy != "noeviction" {
		r.Fail(part, "maxmemory-policy is %s, and must be noeviction: a mutation with an idempotency key could run twice", policy)
	} else {
		r.OK(part, "it evicts no keys")
	}
	save, err := client.ConfigGet(ctx, "save").Result()
	switch {
	case values["aof_enabled"] == "1":
		r.OK(part, "it persists its data (appendonly)")
	case err == nil && save["save"] != "":
		r.Warn(part, "it persists snapshots only: a crash loses the sessions and idempotency keys of the last minutes; set appendonly yes")
	default:
		r.Warn(part, "it does not persist its data: a restart loses sessions and idempotency keys; set appendonly yes")
	}
}
