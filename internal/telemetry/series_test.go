package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/telemetry"
)

// TestSeriesAreBounded verifies MaxSeries against more clients, names, operations and outcomes than any gateway has.
func TestSeriesAreBounded(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics(func(name string) bool { return name < "Op10" })
	codes := []string{"", "cancelled", string(fault.Unauthenticated), string(fault.Forbidden), string(fault.NotFound), string(fault.Conflict),
		string(fault.UpstreamUnavailable), string(fault.UpstreamTimeout), string(fault.RateLimited)}
	for i := range 500 {
		n := fmt.Sprint(i)
		for _, code := range codes {
			for _, kind := range []string{"query", "mutation", "subscription"} {
				m.Operation(telemetry.Operation{Client: "key" + n, Type: kind, Name: fmt.Sprintf("Op%02d", i), Codes: []string{code}, Executed: true, Duration: time.Second})
			}
			m.Call("key"+n, "GET /openapi/"+n, 200+i, code, time.Second)
		}
		m.Request("/graphql", "METHOD"+n, 100+i, time.Second)
		m.Request(fmt.Sprint("/route", i%12), http.MethodPost, 100+i, time.Second) // the router has few routes
		m.Grant("account"+n, "refused")
	}
	for _, class := range []string{"lists", "gets", "writes", "uploads", "sso"} {
		m.Waited(class, time.Second)
		for _, reason := range []string{"open", "paused", "busy", "crowded"} {
			m.CallRefused(class, reason)
		}
	}
	for i := range 20 {
		for _, source := range []string{"", "loaded", "coalesced", "memory", "redis", "stale"} {
			m.CacheRead(fmt.Sprint("kind", i), source)
		}
		m.CacheEvicted(fmt.Sprint("kind", i))
		m.CacheUnshared(fmt.Sprint("kind", i))
	}
	hook := m.RedisHook(nil)
	for _, command := range []string{"get", "mget", "set", "evalsha", "script", "pipeline", "ping", "publish", "info"} {
		for _, err := range []error{nil, errors.New("down")} {
			cmd := redis.NewCmd(t.Context(), command)
			_ = hook.ProcessHook(func(context.Context, redis.Cmder) error { return err })(t.Context(), cmd)
		}
	}
	m.Admission(func() (all []telemetry.ClassState) {
		for _, class := range []string{"lists", "gets", "writes", "uploads", "sso"} {
			all = append(all, telemetry.ClassState{Class: class})
		}
		return all
	})
	r := httptest.NewRecorder()
	m.Handler().ServeHTTP(r, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	series, by := 0, map[string]int{}
	for line := range bytes.Lines(r.Body.Bytes()) {
		if line[0] != '#' {
			series++
			by[string(line[:bytes.IndexAny(line, "{ ")])]++
		}
	}
	if series < 1000 || series > telemetry.MaxSeries {
		t.Errorf("%d series: %v", series, by)
	}
}
