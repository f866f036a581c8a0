package subscriptions

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

var agreementSeeds = flag.Int("agreement-seeds", 3, "how many random plays of subscriptions, queries and changes to make")

// state is a client's state of a workflow. Both numbers only grow: schedules change the first,
// mutations the second.
type state struct{ TriggeredCount, Version int64 }

func (s state) olderThan(o state) bool {
	return s.TriggeredCount < o.TriggeredCount || s.Version < o.Version
}

// normalised is a client's cache: each entity in the state of its last answer or event.
type normalised struct {
	mu       sync.Mutex
	known    map[string]state
	byEvents map[string]state // by events only
	events   map[string]int   // number of events
}

// event applies an event of the subscription.
func (n *normalised) event(id string, s state) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known[id], n.byEvents[id] = s, s
	n.events[id]++
}

// Answered applies the answer to a query that was sent when the client had the events. An entity
// with an event since then keeps the event's state: the order of two connections is unknown.
func (n *normalised) Answered(t *testing.T, what string, nodes map[string]state, got map[string]state, events map[string]int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, s := range nodes {
		if s.olderThan(got[id]) {
			t.Errorf("%s answers %+v after an event of %+v", what, s, got[id])
		}
		if n.events[id] == events[id] {
			n.known[id] = s
		}
	}
}

func (n *normalised) now() (got map[string]state, events map[string]int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	got, events = make(map[string]state), make(map[string]int)
	for id, s := range n.byEvents {
		got[id], events[id] = s, n.events[id]
	}
	return got, events
}

// TestSubscriptionsMatchQueries runs subscriptions, queries, console changes and mutations
// in random order through two replicas. No query returns data older than a previous event, and
// finally the client's cache equals the console.
func TestSubscriptionsMatchQueries(t *testing.T) {
	t.Parallel()
	sim, replicas := e2e.NewReplicas(t, 2, consolesim.Options{Latency: 2 * time.Millisecond}, "CONSOLEQL_POLL_INTERVAL=100ms")
	for seed := range *agreementSeeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { playAgreement(t, sim, replicas, rand.New(rand.NewPCG(uint64(seed), 1))) })
	}
}

func playAgreement(t *testing.T, sim *consolesim.Server, replicas []*e2e.Process, random *rand.Rand) {
	all := sim.Data().WorkflowIDs(sim.Data().MainDepartmentID())
	ids := all[:6]
	client := &normalised{known: map[string]state{}, byEvents: map[string]state{}, events: map[string]int{}}
	read := func() {
		p := replicas[random.IntN(2)]
		one := ids[random.IntN(len(ids))]
		q := []string{
			`{ w: workflows(first: 100) { nodes { id triggeredCount description } } }`,
			`{ w: workflows(first: 40) { nodes { id triggeredCount description } } }`,
			fmt.Sprintf(`{ w: department(id: %q) { nodes: workflows(first: 90) { nodes { id triggeredCount description } } } }`, sim.Data().MainDepartmentID()),
			fmt.Sprintf(`{ w: workflow(id: %q) { id triggeredCount description } }`, one),
		}[random.IntN(4)]
		got, events := client.now()
		a := p.Ask(q, e2e.Request{})
		if len(a.Errors) > 0 {
			t.Fatalf("%s", a.Body)
		}
		client.Answered(t, q, nodesOf(t, a, ids), got, events)
	}
	for range random.IntN(4) { // some data is cached before the subscription begins
		read()
		sim.TouchWorkflow(ids[random.IntN(len(ids))])
	}
	field := []string{
		`workflowEvents(initial: true) { workflow { id triggeredCount description } }`,
		`workflowEvents(ids: [%q, %q, %q, %q, %q, %q], initial: true) { workflow { id triggeredCount description } }`,
		`workflowEvents(ids: [%q, %q, %q, %q, %q, %q], initial: true) { workflow { id triggeredCount description package { name } } }`,
	}[random.IntN(3)]
	if strings.Contains(field, "ids") {
		field = fmt.Sprintf(field, ids[0], ids[1], ids[2], ids[3], ids[4], ids[5])
	}
	e := replicas[random.IntN(2)].Events(http.MethodPost, `subscription { w: `+field+` }`, nil)
	defer e.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			event, ok := e.Next()
			if !ok || event.Name != "next" {
				return
			}
			for id, s := range nodesOf(t, e2e.Decode[e2e.Answer](t, []byte(event.Data)), ids) {
				client.event(id, s)
			}
		}
	}()
	for range 120 {
		id := ids[random.IntN(len(ids))]
		switch random.IntN(8) {
		case 0:
			sim.TouchWorkflow(id)
		case 1:
			w, _ := sim.Data().Workflow(id)
			got, events := client.now()
			a := replicas[random.IntN(2)].Ask(fmt.Sprintf(`mutation { w: updateWorkflow(input: {id: %q, description: "v%d"}) { nodes: workflow { id triggeredCount description } } }`, id, versionIn(w.Description)+1), e2e.Request{})
			if len(a.Errors) > 0 {
				t.Fatalf("%s", a.Body)
			}
			client.Answered(t, "a mutation", nodesOf(t, a, ids), got, events)
		case 2:
			time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond)
		default:
			read()
		}
	}
	agrees := func() bool {
		client.mu.Lock()
		defer client.mu.Unlock()
		for _, id := range ids {
			w, _ := sim.Data().Workflow(id)
			if client.known[id] != (state{w.TriggeredCount, versionIn(w.Description)}) {
				return false
			}
		}
		return true
	}
	e2e.Await(t, "the client's cache to be as the console", agrees)
	e.Close()
	<-ended
}

// versionIn returns the version that mutations have written into a description; 0 before.
func versionIn(description any) int64 {
	var n int64
	if _, err := fmt.Sscanf(fmt.Sprint(description), "v%d", &n); err != nil {
		return 0
	}
	return n
}

// nodesOf returns the workflows of ids at any place of an answer.
func nodesOf(t *testing.T, a e2e.Answer, ids []string) map[string]state {
	t.Helper()
	found := make(map[string]state)
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, each := range v {
				walk(each)
			}
		case map[string]any:
			if id, ok := v["id"].(string); ok {
				count, _ := v["triggeredCount"].(float64)
				found[id] = state{int64(count), versionIn(v["description"])}
			}
			for _, each := range v {
				walk(each)
			}
		}
	}
	walk(e2e.Decode[any](t, a.Data))
	for id := range found {
		if !slices.Contains(ids, id) {
			delete(found, id)
		}
	}
	return found
}
