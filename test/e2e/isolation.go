package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
)

// FirstEvent returns the first response of a subscription over Server-Sent Events.
func (w *World) FirstEvent(ctx context.Context, query string, header map[string]string) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.URL+"/graphql?query="+url.QueryEscape(query), nil)
	if err != nil {
		return Answer{}, err
	}
	req.Header.Set("Accept", "text/event-stream")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := w.Http.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			a := Answer{Status: resp.StatusCode, Body: []byte(data)}
			return a, json.Unmarshal(a.Body, &a)
		}
	}
	return Answer{}, lines.Err()
}

// WithAndWithoutCache runs a test with and without caches, in parallel with each other and with other tests.
func WithAndWithoutCache(t *testing.T, test func(t *testing.T, caching func(*gateway.Settings, *consolesim.Server))) {
	t.Helper()
	t.Parallel()
	for name, caching := range map[string]func(*gateway.Settings, *consolesim.Server){
		"cache off": func(*gateway.Settings, *consolesim.Server) {},
		"cache on":  WithCache,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, caching)
		})
	}
}
