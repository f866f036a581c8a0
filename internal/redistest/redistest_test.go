package redistest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"

	"github.com/consoleql/consoleql/internal/redistest"
)

func TestMain(m *testing.M) {
	logging.Disable() // go-redis logs the outages that these tests cause
	goleak.VerifyTestMain(m)
}

func TestServer(t *testing.T) {
	s := redistest.Start(t)
	o, err := redis.ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	o.MaxRetries, o.DialerRetries, o.ContextTimeoutEnabled = -1, 1, true
	get := func() (string, error) {
		client := redis.NewClient(o)
		defer client.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		return client.Get(ctx, "k").Result()
	}
	client := redis.NewClient(o)
	defer client.Close()
	if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}

	s.Restart()
	if v, err := get(); v != "v" || err != nil {
		t.Errorf("after a restart: got %q, %v", v, err)
	}
	s.Pause()
	if v, err := get(); err == nil {
		t.Errorf("paused: got %q and no error", v)
	}
	s.Resume()
	if v, err := get(); v != "v" || err != nil {
		t.Errorf("resumed: got %q, %v", v, err)
	}
	s.RestartEmpty()
	if v, err := get(); !errors.Is(err, redis.Nil) {
		t.Errorf("after an empty restart: got %q, %v", v, err)
	}
	s.Stop()
	if v, err := get(); err == nil || errors.Is(err, redis.Nil) {
		t.Errorf("stopped: got %q, %v", v, err)
	}
}

func TestServersAreIndependent(t *testing.T) {
	if a, b := redistest.Start(t), redistest.Start(t); a.Addr() == b.Addr() {
		t.Errorf("two servers at %s", a.Addr())
	}
}
