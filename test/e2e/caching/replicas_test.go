package caching

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestReplicasShareReads verifies that a replica uses entries of another one,
// before it has detected the console's capabilities itself.
func TestReplicasShareReads(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		console consolesim.Options
		ids     string
	}{
		"with Ids":            {consolesim.Options{}, "auto"},
		"without Ids":         {consolesim.Options{NoIDs: true}, "off"},
		"without robots' ids": {consolesim.Options{NoAssociatedRobotIDs: true}, "auto"},
	} {
		t.Run(name, func(t *testing.T) {
			whileRedisAnswers(t, func() ([]*e2e.Process, string) {
				sim, replicas := e2e.NewReplicas(t, 2, tt.console, "CONSOLEQL_CONSOLE_IDS="+tt.ids)
				if again := repeatedCalls(t, sim, replicas[0], replicas[1]); len(again) > 0 {
					return replicas, fmt.Sprintf("asked for once more: %v", again)
				}
				return replicas, ""
			})
		})
	}
}

// whileRedisAnswers fails the test with the result of play. It repeats play up to four times
// if the machine stalled, or if replicas lost their leases or Redis for a while. They call the
// console themselves then.
func whileRedisAnswers(t *testing.T, play func() (replicas []*e2e.Process, wrong string)) {
	t.Helper()
	for range 5 {
		stood := measureStall(t)
		replicas, wrong := play()
		still, troubles := stood(), ""
		for _, p := range replicas {
			troubles += p.Metric("consoleql_cache_redis_failures_total") + p.Metric("consoleql_cache_unconfirmed_invalidations_total")
		}
		if wrong != "" && (strings.Trim(troubles, "0") != "" || still > 200*time.Millisecond) {
			t.Logf("once more, after failures %s of Redis and a standstill of %v: %s", troubles, still, wrong)
			continue
		}
		if wrong != "" {
			t.Error(wrong)
		}
		return
	}
	t.Error("Redis is never quick enough")
}

// measureStall measures the longest time for which the machine did not schedule this process,
// until longest is called. Leases of a second have been lost in much less.
func measureStall(t *testing.T) (longest func() time.Duration) {
	t.Helper()
	stop, ended := make(chan struct{}), make(chan time.Duration, 1)
	go func() {
		var most time.Duration
		for last := time.Now(); ; {
			select {
			case <-stop:
				ended <- most
				return
			case <-time.After(5 * time.Millisecond):
			}
			now := time.Now()
			most, last = max(most, now.Sub(last)), now
		}
	}()
	longest = sync.OnceValue(func() time.Duration {
		close(stop)
		return <-ended
	})
	t.Cleanup(func() { longest() })
	return longest
}

// repeatedCalls returns the calls of one replica for data that another one has just read.
func repeatedCalls(t *testing.T, sim *consolesim.Server, a, b *e2e.Process) map[string]e2e.Counts {
	t.Helper()
	again := make(map[string]e2e.Counts)
	// Only the first replica has detected the lists' lengths and the support for Ids.
	a.Query(`{ workflows(first: 3) { nodes { package { name } queue { name } robots { name } } } packages { totalCount } queues { totalCount } robots { totalCount } }`, nil)
	for _, query := range []string{
		e2e.JoinQuery, `{ packages(first: 7, offset: 3) { nodes { versions { version } } } }`,
		`{ workflowLayouts { nodes { nodes { workflow { name package { name } queue { name } robots { name } } } } } }`,
		e2e.TreeQuery,
	} {
		sim.ResetCounts()
		first := a.Ask(query, e2e.Request{Header: e2e.NoCache})
		if len(first.Errors) > 0 || len(sim.Counts()) == 0 {
			t.Fatalf("%d calls for %s", len(sim.Counts()), first.Body)
		}
		sim.ResetCounts()
		second := b.Ask(query, e2e.Request{})
		if n := sim.Counts(); len(n) > 0 {
			again[query] = n // robots may have other states now
		} else if diff := cmp.Diff(string(first.Body), string(second.Body)); diff != "" {
			t.Error(diff)
		}
	}
	return again
}

// TestSignOutEndsSessionOnAllReplicas verifies that a session has ended on all replicas when
// signOut is answered, however recently it was used.
func TestSignOutEndsSessionOnAllReplicas(t *testing.T) {
	t.Parallel()
	sim, replicas := e2e.NewReplicas(t, 3, consolesim.Options{})
	u := sim.Data().SoloUser()
	for round := range 6 {
		session := e2e.MergeHeaders(replicas[round%3].SignIn(u), e2e.ScopeHeader(u.CompanyIDs[0], ""))
		for range 2 {
			for _, p := range replicas {
				if a := p.Ask(`{ viewer { userName } }`, e2e.Request{Header: session}); len(a.Errors) > 0 {
					t.Fatalf("%s", a.Body)
				}
			}
		}
		if a := replicas[(round+1)%3].Ask(`mutation { signOut { ok } }`, e2e.Request{Header: session}); len(a.Errors) > 0 {
			t.Fatalf("%s", a.Body)
		}
		sim.ResetCounts()
		for i, p := range replicas {
			for _, query := range []string{`{ viewer { userName } }`, `{ viewer { name } }`, `mutation { signOut { ok } }`} {
				if a := p.Ask(query, e2e.Request{Header: session}); len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "UNAUTHENTICATED" {
					t.Errorf("round %d: replica %d answers %s with %s", round, i, query, a.Body)
				}
			}
		}
		if calls := sim.Counts(); len(calls) > 0 {
			t.Errorf("the console was called: %v", calls)
		}
	}
}

// TestNoCacheExpiresOlderEntries verifies that after no-cache no replica, page or entity
// shows older data, and that the reloaded entries are cached.
func TestNoCacheExpiresOlderEntries(t *testing.T) {
	t.Parallel()
	sim, replicas := e2e.NewReplicas(t, 2, consolesim.Options{})
	id := sim.Data().WorkflowIDs(sim.Data().MainDepartmentID())[0]
	reads := []string{
		`{ workflows(first: 24) { nodes { id modifiedAt } } }`,
		`{ workflows(first: 7) { nodes { id modifiedAt } } }`,
		fmt.Sprintf(`{ workflow(id: %q) { id modifiedAt } }`, id),
	}
	user, _ := sim.DefaultUser()
	other := replicas[0].TokenHeader(user)
	for round := range 6 {
		for _, p := range replicas {
			for _, q := range reads {
				modifiedAt(t, p.Ask(q, e2e.Request{}), id)
				modifiedAt(t, p.Ask(q, e2e.Request{Header: other}), id)
			}
		}
		if !sim.TouchWorkflow(id) {
			t.Fatal("no such workflow")
		}
		anew := modifiedAt(t, replicas[round%2].Ask(reads[round%3], e2e.Request{Header: e2e.NoCache}), id)
		for i, p := range replicas {
			for _, q := range reads {
				if got := modifiedAt(t, p.Ask(q, e2e.Request{}), id); got != anew {
					t.Errorf("round %d: replica %d answers %s with %s after %s", round, i, q, got, anew)
				}
				if got := modifiedAt(t, p.Ask(q, e2e.Request{Header: other}), id); got == anew {
					t.Errorf("round %d: another principal's caches were emptied, too", round)
				}
			}
		}
		sim.ResetCounts()
		for _, p := range replicas {
			for _, q := range reads {
				modifiedAt(t, p.Ask(q, e2e.Request{}), id)
			}
		}
		if calls := sim.Counts(); len(calls) > 0 {
			t.Errorf("round %d: what was read again is not cached: %v", round, calls)
		}
		// The next round begins with cached data of the other principal, too.
		for _, q := range reads {
			modifiedAt(t, replicas[0].Ask(q, e2e.Request{Header: e2e.MergeHeaders(other, e2e.NoCache)}), id)
		}
	}
}

// modifiedAt returns a workflow's modification time in an answer.
func modifiedAt(t *testing.T, a e2e.Answer, id string) string {
	t.Helper()
	if len(a.Errors) > 0 {
		t.Fatalf("%s", a.Body)
	}
	_, rest, found := strings.Cut(string(a.Data), `"`+id+`","modifiedAt":`)
	var value string
	if err := json.NewDecoder(strings.NewReader(rest)).Decode(&value); !found || err != nil {
		t.Fatalf("%v in %s", err, a.Data)
	}
	return value
}

// TestNoCacheCachesJoin verifies that an operation caches everything that it reloads.
func TestNoCacheCachesJoin(t *testing.T) {
	t.Parallel()
	whileRedisAnswers(t, func() ([]*e2e.Process, string) {
		sim, replicas := e2e.NewReplicas(t, 2, consolesim.Options{})
		replicas[0].Query(e2e.JoinQuery, nil)
		alone := sim.Counts()
		delete(alone, "POST /connect/token")
		sim.ResetCounts()
		if a := replicas[1].Ask(e2e.JoinQuery, e2e.Request{Header: e2e.NoCache}); len(a.Errors) > 0 {
			t.Fatalf("%s", a.Body)
		}
		if diff := cmp.Diff(alone, sim.Counts()); diff != "" {
			return replicas, "- first + second: " + diff
		}
		sim.ResetCounts()
		for _, p := range replicas {
			p.Query(e2e.JoinQuery, nil)
		}
		if calls := sim.Counts(); len(calls) > 0 {
			return replicas, fmt.Sprintf("asked once more: %v", calls)
		}
		return replicas, ""
	})
}

// TestNoCacheOfSeveralRounds verifies that entries which others load during the operation are
// not used after its answer.
func TestNoCacheOfSeveralRounds(t *testing.T) {
	t.Parallel()
	sim, replicas := e2e.NewReplicas(t, 2, consolesim.Options{})
	id := sim.Data().WorkflowIDs(sim.Data().MainDepartmentID())[0]
	rounds := fmt.Sprintf(`{ workflow(id: %q) { queue { workflows(first: 40) { nodes { id modifiedAt } } } } }`, id)
	list := `{ workflows(first: 50) { nodes { id modifiedAt } } }`
	begun := make(chan struct{})
	tell := sync.OnceFunc(func() { close(begun) })
	defer sim.Fail(func(r *http.Request) bool {
		queue := strings.Contains(r.URL.Path, "/queues")
		if queue {
			tell()
		}
		return queue
	}, consolesim.Fault{Delay: 2 * time.Second})()
	answered := make(chan e2e.Answer, 1)
	go func() {
		answered <- replicas[0].Ask(rounds, e2e.Request{Header: e2e.NoCache})
	}()
	<-begun // the workflow was read, and the list below its queue was not
	for _, p := range replicas {
		p.Query(list, nil)
	}
	if !sim.TouchWorkflow(id) {
		t.Fatal("no such workflow")
	}
	a := <-answered
	anew := modifiedAt(t, a, id)
	for i, p := range replicas {
		if got := modifiedAt(t, p.Ask(list, e2e.Request{}), id); got != anew {
			t.Errorf("replica %d says %s after %s", i, got, anew)
		}
	}
}

// TestRejectedCallersInvalidateNothing verifies that a caller whom the console rejects invalidates nothing.
func TestRejectedCallersInvalidateNothing(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	w.Query(e2e.JoinQuery, nil)
	for i := range 10 {
		unknownCaller := e2e.MergeHeaders(e2e.Bearer(fmt.Sprint("made-up-", i)), e2e.NoCache)
		if e := w.ExpectRefusal(e2e.ListQuery, e2e.Request{Header: unknownCaller}); e.Extensions.Code != "UNAUTHENTICATED" {
			t.Errorf("%+v", e)
		}
	}
	if n := w.Metric("consoleql_cache_invalidation_duration_seconds_count"); n != "0" {
		t.Errorf("%s invalidations", n)
	}
	if n := w.CallsOf(func() { w.Query(e2e.JoinQuery, nil) }); len(n) > 0 {
		t.Errorf("asked once more: %v", n)
	}
}

// TestNoCacheWithoutOperationCache verifies no-cache for requests that bypass the operation cache.
func TestNoCacheWithoutOperationCache(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	w.Query(e2e.ListQuery, nil)
	body := fmt.Sprintf(`{"query":%q,"id":"of a client that numbers its requests"}`, e2e.ListQuery)
	ask := func(header map[string]string) {
		resp, answered := w.Send(http.MethodPost, "/graphql", body, e2e.MergeHeaders(e2e.JSONBody, header))
		if resp.StatusCode != http.StatusOK || strings.Contains(string(answered), `"errors"`) {
			t.Fatalf("status %d: %s", resp.StatusCode, answered)
		}
	}
	if n := w.CallsOf(func() { ask(nil) }); len(n) > 0 {
		t.Errorf("without no-cache: %v", n)
	}
	if n := w.CallsOf(func() { ask(e2e.NoCache) }); n[e2e.Workflows] != 1 {
		t.Errorf("with no-cache: %v", n)
	}
	w.Sim.ResetCounts()
	w.Query(e2e.ListQuery, nil)
	w.CheckNoCalls()
}

// TestNoCacheDuringOutage verifies that no-cache fails then, and that other requests
// still get cached answers.
func TestNoCacheDuringOutage(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	before := w.Ask(e2e.ListQuery, e2e.Request{})
	defer w.Sim.Fail(nil, consolesim.Fault{Status: 503})()
	if e := w.ExpectRefusal(e2e.ListQuery, e2e.Request{Header: e2e.NoCache}); e.Extensions.Code != "UPSTREAM_UNAVAILABLE" {
		t.Errorf("%+v", e)
	}
	if a := w.Ask(e2e.ListQuery, e2e.Request{}); string(a.Body) != string(before.Body) {
		t.Errorf("%s", a.Body)
	}
}
