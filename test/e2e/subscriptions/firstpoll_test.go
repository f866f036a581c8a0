package subscriptions

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestFirstPollExpiresListsWithoutItsEntities verifies that lists cached before an entity existed are not answered after
// a snapshot of that entity.
func TestFirstPollExpiresListsWithoutItsEntities(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}))
	ids := w.Sim.Data().RobotIDs(w.Sim.Data().MainDepartmentID())
	var queue string
	for _, id := range w.Sim.Data().QueueIDs(w.Sim.Data().MainDepartmentID()) {
		var got struct {
			Queue struct {
				Robots struct{ Nodes []struct{ ID string } }
			}
		}
		w.Query(fmt.Sprintf(`{ queue(id: %q) { robots(first: 100) { nodes { id } } } }`, id), &got)
		if len(got.Queue.Robots.Nodes) > 0 {
			queue, ids[0] = id, got.Queue.Robots.Nodes[0].ID
			break
		}
	}
	other := ids[1]
	if other == ids[0] {
		other = ids[2]
	}
	for name, q := range map[string]string{
		"list":  `{ robots(first: 500) { totalCount nodes { id } } }`,
		"page":  `{ robots(first: 3) { totalCount nodes { id } } }`,
		"count": `{ robots { totalCount } }`,
		"ids":   fmt.Sprintf(`{ robots(filter: {ids: [%q, %q]}) { totalCount nodes { id } } }`, ids[0], other),
	} {
		for by, target := range map[string]string{"ids": fmt.Sprintf(`ids: [%q]`, ids[0]), "queue": fmt.Sprintf(`queueId: %q`, queue)} {
			cached := w.SecondGateway(e2e.WithCache)
			putBack, ok := w.Sim.RemoveRobot(ids[0])
			if !ok {
				t.Fatal("no such robot")
			}
			old := cached.Ask(q, e2e.Request{})
			putBack()
			if len(old.Errors) > 0 {
				t.Fatalf("%s", old.Body)
			}
			e := cached.Events(http.MethodPost, `subscription { robotEvents(`+target+`, initial: true) { type robot { id } } }`, nil)
			for !strings.Contains(string(e.Answer().Data), ids[0]) {
			}
			if got := cached.Ask(q, e2e.Request{}); len(got.Errors) > 0 || string(got.Data) == string(old.Data) {
				t.Errorf("%s: after the snapshot by %s a query answers %s, as before", name, by, got.Body)
			}
			e.Close()
		}
	}
}

// TestFirstPollExpiresEntriesInRedis verifies that a gateway that has started again does not answer from Redis what is
// older than a snapshot.
func TestFirstPollExpiresEntriesInRedis(t *testing.T) {
	t.Parallel()
	store := redistest.Start(t)
	inRedis := func(s *gateway.Settings, _ *consolesim.Server) { s.RedisURL = store.URL() }
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}), e2e.WithCache, inRedis)
	w.AwaitLease()
	id := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	reads := workflowReads(w.Sim, id)
	for _, q := range reads {
		triggered(t, w.Ask(q, e2e.Request{}), id)
	}
	w.Stop()
	if err := w.Stopped(); err != nil {
		t.Fatal(err)
	}
	w.Sim.TouchWorkflow(id)
	again := w.SecondGateway(e2e.WithCache, inRedis)
	again.AwaitLease()
	e := again.Events(http.MethodPost, fmt.Sprintf(`subscription { workflowEvents(ids: [%q], initial: true) { workflow { id triggeredCount } } }`, id), nil)
	sent := triggered(t, e.Answer(), id)
	for name, q := range reads {
		if got := triggered(t, again.Ask(q, e2e.Request{}), id); got < sent {
			t.Errorf("%s answers %d after the snapshot of %d", name, got, sent)
		}
	}
}

// holdLists returns a setting that holds the answers to lists of 70 to 79 entities after hold is filled: it closes the
// channel in it, and waits for the end of release.
func holdLists(t *testing.T, hold <-chan chan struct{}, release <-chan struct{}) func(*gateway.Settings, *consolesim.Server) {
	return e2e.RewriteAnswers(t, func(r *http.Request, body string) string {
		if strings.Contains(r.URL.RawQuery, "PageSize=7") {
			select {
			case held := <-hold:
				close(held)
				<-release
			default:
			}
		}
		return body
	})
}

// TestFirstPollOvertakesQuery verifies that a query whose answer is under way during the first poll is not older than
// the poll's snapshot. Nor is it cached.
func TestFirstPollOvertakesQuery(t *testing.T) {
	t.Parallel()
	hold, release := make(chan chan struct{}, 1), make(chan struct{})
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}), e2e.WithCache, holdLists(t, hold, release))
	id := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	const q = `{ workflows(first: 70) { nodes { id triggeredCount } } }`
	held, answers := make(chan struct{}), make(chan e2e.Answer, 1)
	hold <- held
	go func() { answers <- w.Ask(q, e2e.Request{}) }()
	<-held
	w.Sim.TouchWorkflow(id)
	e := w.Events(http.MethodPost, fmt.Sprintf(`subscription { workflowEvents(ids: [%q], initial: true) { workflow { id triggeredCount } } }`, id), nil)
	sent := triggered(t, e.Answer(), id)
	close(release)
	if got := triggered(t, <-answers, id); got < sent {
		t.Errorf("the query answers %d after the snapshot of %d", got, sent)
	}
	if got := triggered(t, w.Ask(q, e2e.Request{}), id); got < sent {
		t.Errorf("the next query answers %d after the snapshot of %d", got, sent)
	}
}

// TestRunningQueriesWhileRedisIsAway verifies that a running query is not older than an event that was sent while Redis
// does not answer.
func TestRunningQueriesWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	store := redistest.Start(t)
	hold, release := make(chan chan struct{}, 1), make(chan struct{})
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}), e2e.WithCache, holdLists(t, hold, release),
		func(s *gateway.Settings, _ *consolesim.Server) { s.RedisURL = store.URL() })
	w.AwaitLease()
	id := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	e := w.Events(http.MethodPost, fmt.Sprintf(`subscription { workflowEvents(ids: [%q], initial: true) { workflow { id triggeredCount } } }`, id), nil)
	triggered(t, e.Answer(), id)
	store.Pause()
	defer store.Resume()
	e2e.Await(t, "the loss of the lease", func() bool { return w.Metric("consoleql_cache_trusted") == "0" })
	held, answers := make(chan struct{}), make(chan e2e.Answer, 1)
	hold <- held
	go func() {
		answers <- w.Ask(`{ workflows(first: 70) { nodes { id triggeredCount } } }`, e2e.Request{})
	}()
	<-held
	w.Sim.TouchWorkflow(id)
	sent := triggered(t, e.Answer(), id)
	close(release)
	if got := triggered(t, <-answers, id); got < sent {
		t.Errorf("the query answers %d after the event of %d", got, sent)
	}
}

// TestEventsTellStaleData verifies that an event with a related entity that could not be loaded again has
// extensions.stale, unlike the event before it.
func TestEventsTellStaleData(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}), e2e.WithCache, func(s *gateway.Settings, _ *consolesim.Server) {
		s.CacheLife["queues"], s.CacheStaleWhileRevalidate, s.CacheStaleIfError = time.Millisecond, gateway.DurationsByKind{"queues": 0}, gateway.DurationsByKind{"queues": time.Hour}
	})
	var id string
	for _, each := range w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID()) {
		if a := w.Ask(fmt.Sprintf(`{ workflow(id: %q) { queue { name } } }`, each), e2e.Request{}); strings.Contains(string(a.Data), `"name":"`) {
			id = each
			break
		}
	}
	e := w.Events(http.MethodPost, fmt.Sprintf(`subscription { workflowEvents(ids: [%q], initial: true) { workflow { triggeredCount queue { name } } } }`, id), nil)
	if a := e.Answer(); len(a.Errors) > 0 || strings.Contains(string(a.Body), `"stale"`) {
		t.Fatalf("first %s", a.Body)
	}
	w.Sim.Fail(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/openapi/queues") }, consolesim.Fault{Status: http.StatusInternalServerError})
	w.Sim.TouchWorkflow(id)
	if a := e.Answer(); len(a.Errors) > 0 || !strings.Contains(string(a.Body), `"stale":{"age":`) || !strings.Contains(string(a.Body), `"reason":"ERROR"`) {
		t.Errorf("while the console fails, an event is %s", a.Body)
	}
}
