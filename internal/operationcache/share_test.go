package operationcache

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
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

// TestExpiredTokensJoinNothing verifies that a request gets no answer of another execution once its token is not
// accepted. No request gets the refusal of another token.
func TestExpiredTokensJoinNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		second  string // token
		expires bool   // while the first execution is under way
		later   int    // status of the second answer
	}{
		"accepted":               {"a", false, http.StatusOK},
		"expired meanwhile":      {"a", true, http.StatusUnauthorized},
		"another, still valid":   {"b", false, http.StatusOK},
		"another, which expires": {"b", true, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newCache(t)
				expired := false
				a.opts.Accepted = func(context.Context) error {
					if expired {
						return fault.New(fault.Unauthenticated, "the console token has expired")
					}
					return nil
				}
				release := make(chan struct{})
				ask := func(token string) int {
					ctx := principal.NewContext(t.Context(), principal.Verified(token, "u", time.Now().Add(time.Hour)))
					return a.answer(&cacheRequest{ctx: ctx, media: graphqlhttp.TypeJSON, text: "{ viewer { id } }", execute: func(ctx context.Context, w http.ResponseWriter) {
						operation.FromContext(ctx).SetResult(true, false)
						if expired {
							w.WriteHeader(http.StatusUnauthorized)
							return
						}
						<-release
						w.WriteHeader(http.StatusOK)
					}}).status
				}
				var clients sync.WaitGroup
				clients.Go(func() {
					if got := ask("a"); got != http.StatusOK {
						t.Errorf("the first is answered with %d", got)
					}
				})
				synctest.Wait()
				expired = tt.expires
				clients.Go(func() {
					if got := ask(tt.second); got != tt.later {
						t.Errorf("the second is answered with %d", got)
					}
				})
				synctest.Wait()
				close(release)
				clients.Wait()
			})
		})
	}
}

// TestRefusalsOfOtherTokens verifies that a valid token does not get the refusal of an expired token of the same user.
func TestRefusalsOfOtherTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newCache(t)
		release := make(chan struct{})
		ask := func(token string, status int) int {
			ctx := principal.NewContext(t.Context(), principal.Verified(token, "u", time.Now().Add(time.Hour)))
			return a.answer(&cacheRequest{ctx: ctx, media: graphqlhttp.TypeJSON, text: "{ viewer { id } }", execute: func(ctx context.Context, w http.ResponseWriter) {
				operation.FromContext(ctx).SetResult(true, false)
				<-release
				w.WriteHeader(status)
			}}).status
		}
		var clients sync.WaitGroup
		for token, want := range map[string]int{"refused": http.StatusUnauthorized, "valid": http.StatusOK} {
			clients.Go(func() {
				if got := ask(token, want); got != want {
					t.Errorf("the %s token is answered with %d", token, got)
				}
			})
			synctest.Wait()
		}
		close(release)
		clients.Wait()
	})
}
