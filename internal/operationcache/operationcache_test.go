package operationcache

import (
	"context"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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
