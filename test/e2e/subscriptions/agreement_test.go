package subscriptions

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// workflowReads are queries of workflows' trigger counts that contain the given workflow.
func workflowReads(sim *consolesim.Server, id string) map[string]string {
	w, _ := sim.Data().Workflow(id)
	return map[string]string{
		"list":       `{ workflows(first: 100) { nodes { id triggeredCount } } }`,
		"short list": `{ workflows(first: 30) { nodes { id triggeredCount } totalCount } }`,
		"filtered":   fmt.Sprintf(`{ workflows(filter: {name: %q}, first: 100) { nodes { id triggeredCount } } }`, w.Name),
		"by id":      fmt.Sprintf(`{ workflow(id: %q) { id triggeredCount } }`, id),
		"department": fmt.Sprintf(`{ department(id: %q) { workflows(first: 100) { nodes { id triggeredCount } } } }`, sim.Data().MainDepartmentID()),
	}
}

// triggered returns the trigger count of a workflow in an answer.
func triggered(t testing.TB, a e2e.Answer, id string) int {
	t.Helper()
	if len(a.Errors) > 0 {
		t.Fatalf("%s", a.Body)
	}
	_, rest, found := strings.Cut(string(a.Data), fmt.Sprintf(`"id":%q,"triggeredCount":`, id))
	n := -1
	if _, err := fmt.Sscanf(rest, "%d", &n); !found || err != nil {
		t.Fatalf("no trigger count of %s in %s", id, a.Body)
	}
	return n
}

// TestQueriesAreNotOlderThanEvents verifies that queries of the same principal show at least
// the state of a sent event, on each replica.
func TestQueriesAreNotOlderThanEvents(t *testing.T) {
	t.Parallel()
	sim, replicas := e2e.NewReplicas(t, 2, consolesim.Options{}, "CONSOLEQL_POLL_INTERVAL=200ms")
	id := sim.Data().WorkflowIDs(sim.Data().MainDepartmentID())[0]
	reads := workflowReads(sim, id)
	for _, field := range []string{`workflowChanged(ids: [%q]) { id triggeredCount }`, `workflowEvents(ids: [%q], initial: true) { workflow { id triggeredCount } }`} {
		e := replicas[0].Events(http.MethodPost, "subscription { "+fmt.Sprintf(field, id)+" }", nil)
		if strings.Contains(field, "initial") {
			triggered(t, e.Answer(), id)
		} else {
			replicas[0].AwaitPolls(2)
		}
		for range 3 {
			for _, p := range replicas {
				for _, q := range reads {
					triggered(t, p.Ask(q, e2e.Request{}), id)
				}
			}
			sim.TouchWorkflow(id)
			sent := triggered(t, e.Answer(), id)
			for i, p := range replicas {
				for name, q := range reads {
					if got := triggered(t, p.Ask(q, e2e.Request{}), id); got < sent {
						t.Errorf("%s: replica %d answers %s with %d after the event of %d", field, i, name, got, sent)
					}
				}
			}
		}
		e.Close()
	}
}

// TestFirstPollExpiresOlderEntries verifies that a subscriber that queries after the
// subscription has begun misses nothing, although older data was cached.
func TestFirstPollExpiresOlderEntries(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}), e2e.WithCache)
	id := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	for name, q := range workflowReads(w.Sim, id) {
		cached := triggered(t, w.Ask(q, e2e.Request{}), id)
		if !w.Sim.TouchWorkflow(id) {
			t.Fatal("no such workflow")
		}
		e := w.Events(http.MethodPost, fmt.Sprintf(`subscription { workflowEvents(ids: [%q], initial: true) { type workflow { id triggeredCount } } }`, id), nil)
		a := e.Answer()
		if sent := triggered(t, a, id); sent != cached+1 || !strings.Contains(string(a.Data), `"SNAPSHOT"`) {
			t.Errorf("%s: the snapshot is %s", name, a.Body)
		}
		if got := triggered(t, w.Ask(q, e2e.Request{}), id); got != cached+1 {
			t.Errorf("%s answers %d after the first look saw %d", name, got, cached+1)
		}
		e.Close()
		e2e.Await(t, "the poll's end", func() bool { return w.Metric("consoleql_watched_things") == "0" })
	}
}

// TestFirstPollExpiresReplicaEntries verifies that the first poll at one replica expires older
// entries at all replicas.
func TestFirstPollExpiresReplicaEntries(t *testing.T) {
	t.Parallel()
	sim, replicas := e2e.NewReplicas(t, 2, consolesim.Options{}, "CONSOLEQL_POLL_INTERVAL=200ms")
	id := sim.Data().WorkflowIDs(sim.Data().MainDepartmentID())[0]
	reads := workflowReads(sim, id)
	for round, field := range []string{
		`workflowEvents(ids: [%q], initial: true) { workflow { id triggeredCount } }`,
		`workflowEvents(initial: true) { workflow { id triggeredCount } }`,
		`workflowChanged(ids: [%q]) { id triggeredCount }`,
	} {
		cached := 0
		for _, p := range replicas {
			for _, q := range reads {
				cached = max(cached, triggered(t, p.Ask(q, e2e.Request{}), id))
			}
		}
		sim.TouchWorkflow(id)
		if strings.Contains(field, "%q") {
			field = fmt.Sprintf(field, id)
		}
		sim.ResetCounts()
		subscribed := replicas[round%2]
		e := subscribed.Events(http.MethodPost, "subscription { "+field+" }", nil)
		if strings.Contains(field, "initial") {
			for !strings.Contains(string(e.Answer().Data), id) {
			}
		} else {
			subscribed.AwaitPolls(2) // the second poll begins after the first one's events
		}
		for i, p := range replicas {
			for name, q := range reads {
				if got := triggered(t, p.Ask(q, e2e.Request{}), id); got <= cached {
					t.Errorf("%s: replica %d answers %s with %d, as before the first look at replica %d", field, i, name, got, round%2)
				}
			}
		}
		e.Close()
		e2e.Await(t, "the poll's end", func() bool { return subscribed.Metric("consoleql_watched_things") == "0" })
	}
}

// TestUnchangedPollsExpireNothing verifies that entries equal to a poll's result stay
// cached.
func TestUnchangedPollsExpireNothing(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}), e2e.WithCache)
	id := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	reads := workflowReads(w.Sim, id)
	delete(reads, "filtered") // its present content is unknown
	for _, q := range reads {
		triggered(t, w.Ask(q, e2e.Request{}), id)
	}
	e := w.Events(http.MethodPost, fmt.Sprintf(`subscription { workflowEvents(ids: [%q], initial: true) { workflow { id triggeredCount } } }`, id), nil)
	triggered(t, e.Answer(), id)
	w.AwaitPolls(3)
	for name, q := range reads {
		w.Sim.ResetCounts()
		triggered(t, w.Ask(q, e2e.Request{}), id)
		if n := w.Calls()[e2e.Workflows] + w.Calls()[e2e.Workflow]; n > 1 { // a poll may run in between
			t.Errorf("%s takes %d calls", name, n)
		}
	}
	if n := w.Metric("consoleql_cache_invalidation_duration_seconds_count"); n != "0" {
		t.Errorf("%s invalidations", n)
	}
}

// TestRemovalsSendEvents verifies events for removals by a 404 and by complete lists, and for
// entities that return.
func TestRemovalsSendEvents(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}), e2e.WithCache)
	ids := w.Sim.Data().RobotIDs(w.Sim.Data().MainDepartmentID())
	for name, field := range map[string]string{
		"some": fmt.Sprintf(`robotEvents(ids: [%q, %q], initial: true)`, ids[0], ids[1]),
		"one":  fmt.Sprintf(`robotEvents(ids: [%q], initial: true)`, strings.ToUpper(ids[0])),
		"all":  `robotEvents(initial: true)`,
	} {
		t.Run(name, func(t *testing.T) {
			e := w.Events(http.MethodPost, `subscription { e: `+field+` { type id robot { id name } } }`, nil)
			defer e.Close()
			next := func() (got struct {
				E struct {
					Type, ID string
					Robot    *struct{ ID string }
				}
			}) {
				return e2e.Decode[struct {
					E struct {
						Type, ID string
						Robot    *struct{ ID string }
					}
				}](t, e.Answer().Data)
			}
			for first := next(); first.E.ID != ids[0]; first = next() {
				if first.E.Type != "SNAPSHOT" {
					t.Fatalf("%+v", first)
				}
			}
			putBack, ok := w.Sim.RemoveRobot(ids[0])
			if !ok {
				t.Fatal("no such robot")
			}
			defer func() { putBack() }()
			got := next()
			for got.E.Type == "SNAPSHOT" {
				got = next()
			}
			if got.E.Type != "REMOVED" || got.E.ID != ids[0] || got.E.Robot != nil {
				t.Errorf("event of the removal: %+v", got)
			}
			if a := w.Ask(fmt.Sprintf(`{ robot(id: %q) { id } }`, ids[0]), e2e.Request{}); string(a.Data) != `{"robot":null}` {
				t.Errorf("a query answers %s", a.Body)
			}
			putBack()
			putBack = func() {}
			if got := next(); got.E.Type != "ADDED" || got.E.ID != ids[0] || got.E.Robot == nil {
				t.Errorf("event of the return: %+v", got)
			}
			if a := w.Ask(fmt.Sprintf(`{ robot(id: %q) { id } }`, ids[0]), e2e.Request{}); string(a.Data) != fmt.Sprintf(`{"robot":{"id":%q}}`, ids[0]) {
				t.Errorf("then a query answers %s", a.Body)
			}
		})
	}
}

// TestUnselectedChangesSendNoEvent verifies that only changes of selected fields cause
// an event, and only one.
func TestUnselectedChangesSendNoEvent(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}))
	id := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	rename := func(name string) {
		t.Helper()
		if a := w.Ask(fmt.Sprintf(`mutation { updateWorkflow(input: {id: %q, name: %q}) { workflow { id } } }`, id, name), e2e.Request{}); len(a.Errors) > 0 {
			t.Fatalf("%s", a.Body)
		}
	}
	for i, field := range []string{
		`f: workflowChanged(ids: [%q]) { id name }`,
		`f: workflowChanged(ids: [%q]) { ...on Workflow { name department { name } } }`,
		`f: workflowChanged(ids: [%q]) { name package { name } queue { name } }`,
		`f: workflowEvents(ids: [%q]) { type id workflow { name jobStateNotification { switchOn } } }`,
		`f: workflowEvents(ids: [%q]) { type workflow { name } w: workflow { version { version } } }`,
	} {
		e := w.Events(http.MethodPost, "subscription { "+fmt.Sprintf(field, id)+" }", nil)
		w.AwaitPolls(2)
		for round := range 2 {
			w.Sim.TouchWorkflow(id) // the selected fields are unchanged
			w.AwaitPolls(3)
			name := fmt.Sprintf("name %d-%d", i, round)
			rename(name)
			if a := e.Answer(); !strings.Contains(string(a.Data), fmt.Sprintf("%q", name)) || len(a.Errors) > 0 {
				t.Errorf("%s: the first event of round %d is %s", field, round, a.Body)
			}
		}
		e.Close()
	}
}

// TestRunningQueriesAreNotOlderThanEvents verifies that a running query reads again what it
// had read before a change whose event was sent meanwhile.
func TestRunningQueriesAreNotOlderThanEvents(t *testing.T) {
	t.Parallel()
	held, hold, release := make(chan struct{}), make(chan struct{}, 1), make(chan struct{})
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}), e2e.WithCache, e2e.RewriteAnswers(t, func(r *http.Request, body string) string {
		if strings.Contains(r.URL.RawQuery, "PageSize=7") {
			select {
			case <-hold:
				close(held)
				<-release
			default:
			}
		}
		return body
	}))
	id := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	e := w.Events(http.MethodPost, fmt.Sprintf(`subscription { workflowEvents(ids: [%q], initial: true) { workflow { id triggeredCount } } }`, id), nil)
	before := triggered(t, e.Answer(), id)
	for i, send := range []func(string) e2e.Answer{
		func(q string) e2e.Answer { return w.Ask(q, e2e.Request{}) },
		func(q string) e2e.Answer {
			s := w.Socket(nil)
			s.Subscribe("q", q)
			return s.Next("q")
		},
	} {
		held, release = make(chan struct{}), make(chan struct{})
		hold <- struct{}{}
		answers := make(chan e2e.Answer, 1)
		go func() { answers <- send(fmt.Sprintf(`{ workflows(first: 7%d) { nodes { id triggeredCount } } }`, i)) }()
		<-held
		w.Sim.TouchWorkflow(id)
		sent := triggered(t, e.Answer(), id)
		if sent != before+1 {
			t.Errorf("got %d after %d", sent, before)
		}
		close(release)
		if got := triggered(t, <-answers, id); got < sent {
			t.Errorf("a query answers %d after the event of %d", got, sent)
		}
		before = sent
	}
}
