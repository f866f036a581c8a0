package main

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
)

// noCache asks the console anew.
var noCache = map[string]string{"Cache-Control": "no-cache"}

// keptForAnHour lets a gateway keep everything for so long.
var keptForAnHour = []string{"CONSOLEQL_CACHE=on", "CONSOLEQL_CACHE_LIFE=companies=1h,tree=1h,self=1h,packages=1h,queues=1h,robots=1h,workflows=1h,layouts=1h"}

// newReplicas starts gateways of one console that share a Redis, keep everything for an
// hour, and trust what they keep.
func newReplicas(t *testing.T, size int, o consolesim.Options, env ...string) (*consolesim.Server, []*process) {
	t.Helper()
	f := newFleet(t, size, o, append(env, keptForAnHour...)...)
	replicas := make([]*process, size)
	for i := range replicas {
		replicas[i] = f.slots[i].Load().process
		await(t, "trust", func() bool { return replicas[i].metric("consoleql_cache_trusted") == "1" })
	}
	return f.sim, replicas
}

// TestReplicasShareWhatAnOperationReads: what one replica has read is not asked for by
// another one, though that has learned nothing yet of the console.
func TestReplicasShareWhatAnOperationReads(t *testing.T) {
	for name, tt := range map[string]struct {
		console consolesim.Options
		ids     string
	}{
		"with Ids":            {consolesim.Options{}, "auto"},
		"without Ids":         {consolesim.Options{NoIDs: true}, "off"},
		"without robots' ids": {consolesim.Options{NoAssociatedRobotIDs: true}, "auto"},
	} {
		t.Run(name, func(t *testing.T) {
			whileRedisAnswers(t, func() ([]*process, string) {
				sim, replicas := newReplicas(t, 2, tt.console, "CONSOLEQL_CONSOLE_IDS="+tt.ids)
				if again := askedAgain(t, sim, replicas[0], replicas[1]); len(again) > 0 {
					return replicas, fmt.Sprintf("asked for once more: %v", again)
				}
				return replicas, ""
			})
		})
	}
}

// whileRedisAnswers fails the test with what play says is wrong. It plays once more, up to four times, where the machine
// stood still, or replicas gave up Redis or each other for a while, as they do then: each asks the console for itself.
func whileRedisAnswers(t *testing.T, play func() (replicas []*process, wrong string)) {
	t.Helper()
	for range 5 {
		stood := standstill(t)
		replicas, wrong := play()
		still, troubles := stood(), ""
		for _, p := range replicas {
			troubles += p.metric("consoleql_cache_redis_failures_total") + p.metric("consoleql_cache_unconfirmed_invalidations_total")
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

// standstill watches how long the machine leaves this process alone, until longest is asked
// for: the longest time. Leases of a second have been lost in much less than one.
func standstill(t *testing.T) (longest func() time.Duration) {
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

// askedAgain are the calls that one replica makes for what another one has just read.
func askedAgain(t *testing.T, sim *consolesim.Server, a, b *process) map[string]counts {
	t.Helper()
	again := make(map[string]counts)
	// The one has learned how long the lists are and whether they take Ids, the other has not.
	a.query(`{ workflows(first: 3) { nodes { package { name } queue { name } robots { name } } } packages { totalCount } queues { totalCount } robots { totalCount } }`, nil)
	for _, query := range []string{
		joinQuery, `{ packages(first: 7, offset: 3) { nodes { versions { version } } } }`,
		`{ workflowLayouts { nodes { nodes { workflow { name package { name } queue { name } robots { name } } } } } }`,
		treeQuery,
	} {
		sim.ResetCounts()
		first := a.ask(query, request{header: noCache})
		if len(first.Errors) > 0 || len(sim.Counts()) == 0 {
			t.Fatalf("%d calls for %s", len(sim.Counts()), first.Body)
		}
		sim.ResetCounts()
		second := b.ask(query, request{})
		if n := sim.Counts(); len(n) > 0 {
			again[query] = n // with states of another moment
		} else if diff := cmp.Diff(string(first.Body), string(second.Body)); diff != "" {
			t.Error(diff)
		}
	}
	return again
}

// TestSignOutEndsTheSessionEverywhere, before it is answered, however often and however
// lately the session was used.
func TestSignOutEndsTheSessionEverywhere(t *testing.T) {
	t.Parallel()
	sim, replicas := newReplicas(t, 3, consolesim.Options{})
	u := sim.Data().SoloUser()
	for round := range 6 {
		session := with(replicas[round%3].signIn(u), in(u.CompanyIDs[0], ""))
		for range 2 {
			for _, p := range replicas {
				if a := p.ask(`{ viewer { userName } }`, request{header: session}); len(a.Errors) > 0 {
					t.Fatalf("%s", a.Body)
				}
			}
		}
		if a := replicas[(round+1)%3].ask(`mutation { signOut { ok } }`, request{header: session}); len(a.Errors) > 0 {
			t.Fatalf("%s", a.Body)
		}
		sim.ResetCounts()
		for i, p := range replicas {
			for _, query := range []string{`{ viewer { userName } }`, `{ viewer { name } }`, `mutation { signOut { ok } }`} {
				if a := p.ask(query, request{header: session}); len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "UNAUTHENTICATED" {
					t.Errorf("round %d: replica %d answers %s with %s", round, i, query, a.Body)
				}
			}
		}
		if calls := sim.Counts(); len(calls) > 0 {
			t.Errorf("the console was called: %v", calls)
		}
	}
}

// TestNoCacheIsFollowedByNothingOlder: neither by another replica, nor by another page of
// the list, nor by the entity itself; and all that was read anew is kept.
func TestNoCacheIsFollowedByNothingOlder(t *testing.T) {
	t.Parallel()
	sim, replicas := newReplicas(t, 2, consolesim.Options{})
	id := sim.Data().WorkflowIDs(sim.Data().MainDepartmentID())[0]
	reads := []string{
		`{ workflows(first: 24) { nodes { id modifiedAt } } }`,
		`{ workflows(first: 7) { nodes { id modifiedAt } } }`,
		fmt.Sprintf(`{ workflow(id: %q) { id modifiedAt } }`, id),
	}
	user, _ := sim.DefaultUser()
	other := replicas[0].as(user)
	for round := range 6 {
		for _, p := range replicas {
			for _, q := range reads {
				modifiedAt(t, p.ask(q, request{}), id)
				modifiedAt(t, p.ask(q, request{header: other}), id)
			}
		}
		if !sim.TouchWorkflow(id) {
			t.Fatal("no such workflow")
		}
		anew := modifiedAt(t, replicas[round%2].ask(reads[round%3], request{header: noCache}), id)
		for i, p := range replicas {
			for _, q := range reads {
				if got := modifiedAt(t, p.ask(q, request{}), id); got != anew {
					t.Errorf("round %d: replica %d answers %s with %s after %s", round, i, q, got, anew)
				}
				if got := modifiedAt(t, p.ask(q, request{header: other}), id); got == anew {
					t.Errorf("round %d: another principal's caches were emptied, too", round)
				}
			}
		}
		sim.ResetCounts()
		for _, p := range replicas {
			for _, q := range reads {
				modifiedAt(t, p.ask(q, request{}), id)
			}
		}
		if calls := sim.Counts(); len(calls) > 0 {
			t.Errorf("round %d: what was read anew is not kept: %v", round, calls)
		}
		// For the other principal, too, the next round begins with what is there.
		for _, q := range reads {
			modifiedAt(t, replicas[0].ask(q, request{header: with(other, noCache)}), id)
		}
	}
}

// modifiedAt is when a workflow was changed, by an answer.
func modifiedAt(t *testing.T, a answer, id string) string {
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

// TestNoCacheKeepsAJoin: an operation that reads many things anew keeps all of them.
func TestNoCacheKeepsAJoin(t *testing.T) {
	t.Parallel()
	whileRedisAnswers(t, func() ([]*process, string) {
		sim, replicas := newReplicas(t, 2, consolesim.Options{})
		replicas[0].query(joinQuery, nil)
		alone := sim.Counts()
		delete(alone, "POST /connect/token")
		sim.ResetCounts()
		if a := replicas[1].ask(joinQuery, request{header: noCache}); len(a.Errors) > 0 {
			t.Fatalf("%s", a.Body)
		}
		if diff := cmp.Diff(alone, sim.Counts()); diff != "" {
			return replicas, "- first + anew: " + diff
		}
		sim.ResetCounts()
		for _, p := range replicas {
			p.query(joinQuery, nil)
		}
		if calls := sim.Counts(); len(calls) > 0 {
			return replicas, fmt.Sprintf("asked once more: %v", calls)
		}
		return replicas, ""
	})
}

// TestNoCacheOfSeveralRounds: what others read while such an operation is under way is not
// given any more when it has been answered.
func TestNoCacheOfSeveralRounds(t *testing.T) {
	t.Parallel()
	sim, replicas := newReplicas(t, 2, consolesim.Options{})
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
	answered := make(chan answer, 1)
	go func() {
		answered <- replicas[0].ask(rounds, request{header: noCache})
	}()
	<-begun // the workflow has been read, the list below its queue has not
	for _, p := range replicas {
		p.query(list, nil)
	}
	if !sim.TouchWorkflow(id) {
		t.Fatal("no such workflow")
	}
	a := <-answered
	anew := modifiedAt(t, a, id)
	for i, p := range replicas {
		if got := modifiedAt(t, p.ask(list, request{}), id); got != anew {
			t.Errorf("replica %d says %s after %s", i, got, anew)
		}
	}
}

// TestStrangersEndNothing: whoever the console does not know cannot have anything read
// anew, and so ends nobody's answers.
func TestStrangersEndNothing(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, cached)
	w.query(joinQuery, nil)
	for i := range 10 {
		stranger := with(bearer(fmt.Sprint("made-up-", i)), noCache)
		if e := w.refused(listQuery, request{header: stranger}); e.Extensions.Code != "UNAUTHENTICATED" {
			t.Errorf("%+v", e)
		}
	}
	if n := w.metric("consoleql_cache_invalidation_duration_seconds_count"); n != "0" {
		t.Errorf("%s invalidations", n)
	}
	if n := w.asked(func() { w.query(joinQuery, nil) }); len(n) > 0 {
		t.Errorf("asked once more: %v", n)
	}
}

// TestNoCacheOfAnOddRequest is as good as that of a plain one.
func TestNoCacheOfAnOddRequest(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, cached)
	w.query(listQuery, nil)
	body := fmt.Sprintf(`{"query":%q,"id":"of a client that numbers its requests"}`, listQuery)
	ask := func(header map[string]string) {
		resp, answered := w.send(http.MethodPost, "/graphql", body, with(jsonBody, header))
		if resp.StatusCode != http.StatusOK || strings.Contains(string(answered), `"errors"`) {
			t.Fatalf("status %d: %s", resp.StatusCode, answered)
		}
	}
	if n := w.asked(func() { ask(nil) }); len(n) > 0 {
		t.Errorf("without no-cache: %v", n)
	}
	if n := w.asked(func() { ask(noCache) }); n[workflows] != 1 {
		t.Errorf("with no-cache: %v", n)
	}
	w.sim.ResetCounts()
	w.query(listQuery, nil)
	w.noCalls()
}

// TestNoCacheWhileTheConsoleIsAway: it fails, and takes nothing from those who are content
// with what there was.
func TestNoCacheWhileTheConsoleIsAway(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, cached)
	before := w.ask(listQuery, request{})
	defer w.sim.Fail(nil, consolesim.Fault{Status: 503})()
	if e := w.refused(listQuery, request{header: noCache}); e.Extensions.Code != "UPSTREAM_UNAVAILABLE" {
		t.Errorf("%+v", e)
	}
	if a := w.ask(listQuery, request{}); string(a.Body) != string(before.Body) {
		t.Errorf("%s", a.Body)
	}
}
