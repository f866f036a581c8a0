package telemetry_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/internal/telemetry"
)

// TestRedisHook: missing values, unknown scripts and feature detection on a new connection are not failures. Commands
// that Redis rejects are.
func TestRedisHook(t *testing.T) {
	t.Parallel()
	o, err := redis.ParseURL(redistest.Start(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(o)
	defer client.Close()
	m := telemetry.NewMetrics(func(string) bool { return false })
	client.AddHook(m.RedisHook(nil))
	figures := func() string {
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
		return w.Body.String()
	}
	if err := client.Get(t.Context(), "nothing").Err(); !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	if err := redis.NewScript("return 1").Run(t.Context(), client, nil).Err(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`{command="get",failed="false"} 1`, `{command="evalsha",failed="false"} 1`, `{command="eval",failed="false"} 1`} {
		if got := figures(); !strings.Contains(got, "consoleql_redis_command_duration_seconds_count"+want) {
			t.Errorf("no %s", want)
		}
	}
	if got := figures(); strings.Contains(got, `failed="true"`) || strings.Contains(got, `command="client"`) || strings.Contains(got, `command="pipeline"`) {
		t.Errorf("counted in vain: %s", got)
	}
	if err := client.LPop(t.Context(), "nothing").Err(); !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	if err := client.Set(t.Context(), "text", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.LPop(t.Context(), "text").Err(); err == nil {
		t.Fatal("a text was taken for a list")
	}
	if got := figures(); !strings.Contains(got, `consoleql_redis_command_duration_seconds_count{command="lpop",failed="true"} 1`) {
		t.Errorf("what Redis refuses is not counted: %s", got)
	}
}
