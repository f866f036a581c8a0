package identity

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/redistest"
)

// redisDump returns all names and values in a Redis. It fails the test if a key has no expiry.
func redisDump(t testing.TB, s *redistest.Server) string {
	t.Helper()
	o, err := redis.ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(o)
	defer func() { _ = client.Close() }()
	ctx := t.Context()
	var dump strings.Builder
	keys, err := client.Keys(ctx, "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		kind, err := client.Type(ctx, key).Result()
		if err != nil {
			t.Fatal(err)
		}
		var held any
		switch kind {
		case "hash":
			held, err = client.HGetAll(ctx, key).Result()
		case "string":
			held, err = client.Get(ctx, key).Result()
		case "none":
			continue // it has just expired
		default:
			t.Errorf("%s is a %s, which this test cannot read", key, kind)
		}
		if err != nil {
			t.Fatal(err)
		}
		if ttl, err := client.TTL(ctx, key).Result(); err != nil || ttl == -1 {
			t.Errorf("%s stays for ever: %v, %v", key, ttl, err)
		}
		fmt.Fprintf(&dump, "%s %v\n", key, held)
	}
	return dump.String()
}
