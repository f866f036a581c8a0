package operationcache

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/operation"
)

// TestTheFirstExecutionIsShared verifies that identical requests in flight share the first execution of a document that can
// hold queries only. A document with other operations, an unknown one, and an invalid one are executed for each request.
func TestTheFirstExecutionIsShared(t *testing.T) {
	for name, tt := range map[string]struct {
		text  string
		query bool
		want  int
	}{
		"a query":            {"{ queues { totalCount } }", true, 1},
		"a query's hash":     {"", true, 3},
		"a mutation":         {"mutation { signOut { ok } }", false, 3},
		"a subscription":     {"subscription { robotChanged { id } }", false, 3},
		"several operations": {"query A { viewer { id } } mutation B { signOut { ok } }", true, 3},
		"an invalid text":    {"{ nothing }", false, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newCache(t)
				var executed int
				var count sync.Mutex
				release := make(chan struct{})
				var clients sync.WaitGroup
				for range 3 {
					clients.Go(func() {
						a.answer(&cacheRequest{ctx: t.Context(), media: graphqlhttp.TypeJSON, text: tt.text, execute: func(ctx context.Context, w http.ResponseWriter) {
							count.Lock()
							executed++
							count.Unlock()
							<-release
							if tt.query {
								operation.FromContext(ctx).SetResult(true, false)
							}
							w.WriteHeader(http.StatusOK)
						}})
					})
				}
				synctest.Wait()
				close(release)
				clients.Wait()
				if executed != tt.want {
					t.Errorf("%d executions, want %d", executed, tt.want)
				}
			})
		})
	}
}
