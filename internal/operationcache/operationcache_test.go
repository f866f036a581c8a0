package operationcache

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/bytepool"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/responsecache"
)

// newCache returns a cache whose answers stay valid until the test ends.
func newCache(t *testing.T) *Cache {
	t.Helper()
	validity, err := responsecache.New(responsecache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(validity.Close)
	c, err := New(Options{Validity: validity})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestLastLeaveCancelsExecution verifies that only the last caller ends the
// execution, and that later callers get a new one.
func TestLastLeaveCancelsExecution(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newCache(t)
		var begun, ended int
		over := make(chan struct{})
		defer close(over)
		ask := func(ctx context.Context, execute func(context.Context, http.ResponseWriter)) *answer {
			return a.share(&cacheRequest{ctx: ctx, media: graphqlhttp.TypeJSON, execute: execute})
		}
		hang := func(ctx context.Context, _ http.ResponseWriter) {
			begun++
			select {
			case <-ctx.Done():
				ended++
			case <-over:
			}
			<-over // it takes a while to come to its end
		}
		var clients sync.WaitGroup
		first, leaveFirst := context.WithCancel(t.Context())
		second, leaveSecond := context.WithCancel(t.Context())
		for _, ctx := range []context.Context{first, second} {
			clients.Go(func() {
				if got := ask(ctx, hang); got.status != 499 {
					t.Errorf("who left was answered with %d", got.status)
				}
			})
		}
		synctest.Wait()
		leaveFirst()
		synctest.Wait()
		if begun != 1 || ended != 0 {
			t.Errorf("%d executions for two clients, %d ended with the first", begun, ended)
		}
		leaveSecond()
		synctest.Wait()
		if ended != 1 {
			t.Error("nobody waits, and the execution goes on")
		}
		clients.Wait()
		later, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got := ask(later, func(_ context.Context, w http.ResponseWriter) { w.WriteHeader(http.StatusTeapot) })
		if got.status != http.StatusTeapot {
			t.Errorf("who came later was answered with %d", got.status)
		}
	})
}

// An execution that ends its goroutine answers all its clients, and the next request is executed.
func TestGoexitDuringExecution(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		release := make(chan struct{})
		var clients sync.WaitGroup
		for range 2 {
			clients.Go(func() {
				got := a.share(&cacheRequest{ctx: t.Context(), media: graphqlhttp.TypeJSON, execute: func(context.Context, http.ResponseWriter) {
					<-release
					runtime.Goexit()
				}})
				if got.status != http.StatusInternalServerError {
					t.Errorf("answered with %d", got.status)
				}
			})
			synctest.Wait()
		}
		close(release)
		clients.Wait()
		got := a.share(&cacheRequest{ctx: t.Context(), media: graphqlhttp.TypeJSON, execute: func(_ context.Context, w http.ResponseWriter) { w.WriteHeader(http.StatusTeapot) }})
		if got.status != http.StatusTeapot {
			t.Errorf("the next request was answered with %d", got.status)
		}
	})
}

// TestCachedAnswersDoNotWaitForMemory verifies that an answer in another encoding than before is sent as it is while
// there is no memory to compress it. Once there is memory, it is compressed.
func TestCachedAnswersDoNotWaitForMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := bytepool.New(8 << 20)
		by, err := newEncoder(memory)
		if err != nil {
			t.Fatal(err)
		}
		ctx, share, release := memory.Begin(t.Context())
		if err := share.Take(ctx, 8<<20); err != nil {
			t.Fatal(err)
		}
		a := &answer{status: http.StatusOK, body: bytes.Repeat([]byte("a"), 2<<20), constant: true}
		a.setCacheHeaders()
		ask := func(write func(w http.ResponseWriter, r *http.Request)) string {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/graphql", http.NoBody)
			r.Header.Set("Accept-Encoding", "gzip")
			w, begun := httptest.NewRecorder(), time.Now()
			write(w, r)
			if waited := time.Since(begun); waited != 0 {
				t.Errorf("it waited for %s", waited)
			}
			return w.Header().Get("Content-Encoding")
		}
		for name, write := range map[string]func(w http.ResponseWriter, r *http.Request){
			"an answer": func(w http.ResponseWriter, r *http.Request) { a.write(w, r, by) },
			"an event": func(w http.ResponseWriter, r *http.Request) {
				(&Cache{encoder: by}).WriteBody(w, r, nil, graphqlhttp.Encoded{a.body})
			},
		} {
			if got := ask(write); got != "" {
				t.Errorf("%s without memory is sent in %s", name, got)
			}
			defer func() {
				if got := ask(write); got != "gzip" {
					t.Errorf("%s with memory is sent in %q", name, got)
				}
			}()
		}
		release()
	})
}

// TestNotModifiedHasNoLength verifies that 304 has no length of another body (RFC 9110, section 8.6).
func TestNotModifiedHasNoLength(t *testing.T) {
	a := &answer{status: http.StatusOK, header: http.Header{"Content-Length": {"2"}, "Content-Type": {graphqlhttp.TypeJSON}}, body: []byte("{}"), constant: true}
	a.setCacheHeaders()
	r := httptest.NewRequest(http.MethodGet, "/graphql", http.NoBody)
	r.Header.Set("If-None-Match", a.etag)
	w := httptest.NewRecorder()
	a.write(w, r, nil)
	if h := w.Header(); w.Code != http.StatusNotModified || h.Get("Content-Length") != "" || h.Get("Content-Type") != "" || a.header.Get("Content-Length") == "" {
		t.Errorf("%d %v", w.Code, h)
	}
}
