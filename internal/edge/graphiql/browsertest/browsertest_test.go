package browsertest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/consoleql/consoleql/internal/edge/graphiql/browsertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder replaces the test whose failure is tested.
type recorder struct {
	testing.TB

	mu       sync.Mutex
	failures []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// failuresOf runs the driver and returns its failures.
func failuresOf(t *testing.T, baseURL string, o browsertest.Options) string {
	t.Helper()
	r := &recorder{TB: t}
	var running sync.WaitGroup
	running.Go(func() { browsertest.Run(r, baseURL, o) })
	running.Wait()
	return strings.Join(r.failures, "\n")
}

func TestRunReportsPageActivity(t *testing.T) {
	pages := http.NewServeMux()
	pages.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `<!doctype html><script>
			fetch('http://fetch.invalid/data').catch(() => {});
			new WebSocket('ws://socket.invalid/');
			console.error('said by the page');
			console.warn('Could not create web worker(s)');
			new Worker('/worker.js');
			setTimeout(() => { throw new Error('thrown by the page'); });
		</script>`)
	})
	pages.HandleFunc("GET /worker.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = fmt.Fprint(w, `setTimeout(() => {
			console.error('said by the worker');
			fetch('http://worker.invalid/data').catch(() => {});
		}, 1000);`)
	})
	server := httptest.NewServer(pages)
	defer server.Close()

	got := failuresOf(t, server.URL, browsertest.Options{Timeout: 4 * time.Second})
	for _, want := range []string{
		"request to another host: http://fetch.invalid/data",
		"request to another host: ws://socket.invalid/",
		"console.error: \"said by the page\"",
		"Could not create web worker",
		"thrown by the page",
		"said by the worker",
		"request to another host: http://worker.invalid/data",
		"wait until the editor shows an operation",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the run does not report %q; it reports:\n%s", want, got)
		}
	}
	if strings.Contains(got, "request to another host: "+server.URL) {
		t.Errorf("the page's own host is reported as another one:\n%s", got)
	}
}

func TestRunNeedsChromium(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	got := failuresOf(t, "http://127.0.0.1:1", browsertest.Options{})
	if !strings.Contains(got, "make test") || !strings.Contains(got, "chromium") {
		t.Errorf("failures = %q, want one that names make test and chromium", got)
	}
}

func TestRunNeedsBaseURL(t *testing.T) {
	if got := failuresOf(t, "/graphql", browsertest.Options{}); !strings.Contains(got, "names no host") {
		t.Errorf("failures = %q", got)
	}
}
