package deploy_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var restarts = flag.Int("restarts", 1, "how often TestNginx restarts each gateway under load")

// mostExecutions is less than the simulator's bound on the jobs that it stores.
const mostExecutions = 10_000

// load sends queries by GET and POST and, every twentieth time, a mutation.
type load struct {
	asked, executed, failed atomic.Int64

	mu       sync.Mutex
	failures []string // the first ones

	end     context.CancelFunc
	workers sync.WaitGroup
}

// startLoad starts four workers, each with one request at a time. workflow is the workflow that mutations execute.
func startLoad(t *testing.T, client *http.Client, address, workflow string) *load {
	t.Helper()
	const query = `{queues{totalCount}}`
	post := func(ctx context.Context, document string) (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/graphql", strings.NewReader(fmt.Sprintf(`{"query":%q}`, document)))
		if err == nil {
			req.Header.Set("Content-Type", "application/json")
		}
		return req, err
	}
	running, end := context.WithCancel(t.Context())
	l := &load{end: end}
	for range 4 {
		l.workers.Go(func() {
			for n := 1; running.Err() == nil; n++ {
				var req *http.Request
				var err error
				want := `"totalCount"`
				switch {
				case n%20 == 0 && l.executed.Load() < mostExecutions:
					want = `"jobs"`
					req, err = post(t.Context(), fmt.Sprintf(`mutation{executeWorkflow(input:{id:%q}){jobs{id}}}`, workflow))
				case n%2 == 0:
					req, err = post(t.Context(), query)
				default:
					req, err = http.NewRequestWithContext(t.Context(), http.MethodGet, address+"/graphql?query="+url.QueryEscape(query), http.NoBody)
				}
				if err != nil {
					t.Error(err)
					return
				}
				l.send(client, req, want)
			}
		})
	}
	t.Cleanup(l.stop)
	return l
}

// send sends a request, and counts a failure unless the answer contains a text.
func (l *load) send(client *http.Client, req *http.Request, want string) {
	l.asked.Add(1)
	resp, err := client.Do(req)
	said := ""
	if err == nil {
		var body []byte
		body, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close() // it was read
		said = resp.Status + " " + string(body)
	}
	if err != nil {
		said += err.Error()
	}
	switch ok := err == nil && strings.Contains(said, want); {
	case !ok:
		l.failed.Add(1)
		l.mu.Lock()
		if len(l.failures) < 20 {
			l.failures = append(l.failures, fmt.Sprintf("%s: %.200s", req.Method, said))
		}
		l.mu.Unlock()
	case want == `"jobs"`:
		l.executed.Add(1)
	}
}

// awaitMore waits until so many further requests have been sent.
func (l *load) awaitMore(t *testing.T, more int64) {
	t.Helper()
	for want := l.asked.Load() + more; l.asked.Load() < want; time.Sleep(10 * time.Millisecond) {
		if t.Context().Err() != nil {
			t.Fatal("no answers")
		}
	}
}

// stop ends the load, and waits for the answers.
func (l *load) stop() {
	l.end()
	l.workers.Wait()
}
