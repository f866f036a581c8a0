package operations

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

var soakTime = flag.Duration("soak", 6*time.Second, "how long TestSoak loads a gateway")

// TestSoak loads a gateway process with concurrent queries, mutations and subscriptions. After
// the first fifth of the time, neither its memory nor its goroutines may grow. No operation
// may fail.
func TestSoak(t *testing.T) {
	t.Parallel()
	sim, err := consolesim.Start(context.Background(), consolesim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	p := e2e.NewProcess(t, sim, redistest.Start(t).URL(), "CONSOLEQL_POLL_INTERVAL=200ms", "CONSOLEQL_STREAM_KEEPALIVE=1s", "CONSOLEQL_CACHE=on")
	s := &soak{Process: p}
	s.Load(*soakTime / 5)
	begin := s.measure("after a fifth")
	s.Load(*soakTime * 4 / 5)
	end := s.measure("at the end")
	t.Logf("%d queries, %d mutations, %d subscriptions with %d events in %v",
		s.queries.Load(), s.mutations.Load(), s.subscriptions.Load(), s.events.Load(), *soakTime)
	if end.goroutines > begin.goroutines+5 {
		t.Errorf("goroutines have grown from %d to %d", begin.goroutines, end.goroutines)
	}
	if end.heap > begin.heap+begin.heap/5+4<<20 {
		t.Errorf("the heap has grown from %d to %d KiB", begin.heap>>10, end.heap>>10)
	}
	if s.queries.Load() == 0 || s.mutations.Load() == 0 || s.events.Load() == 0 {
		t.Error("nothing was done")
	}
}

// soak applies load to a gateway.
type soak struct {
	*e2e.Process
	round                                     atomic.Int64
	queries, mutations, subscriptions, events atomic.Int64
}

// sizes contains the resources of an idle gateway.
type sizes struct {
	heap       int64 // bytes in use after a garbage collection
	goroutines int   // without those of idle connections
}

// measure waits until the gateway is idle and returns its sizes.
func (s *soak) measure(when string) sizes {
	s.T.Helper()
	s.Client.CloseIdleConnections()
	e2e.Await(s.T, "no subscriptions", func() bool {
		return s.Metric("consoleql_subscriptions") == "0" && s.Metric("consoleql_watched_things") == "0"
	})
	var z sizes
	e2e.Await(s.T, "rest", func() bool {
		before := z.goroutines
		z.goroutines = s.goroutines()
		return before == z.goroutines
	})
	s.Get("/debug/pprof/heap?gc=1")
	bytes, err := strconv.ParseFloat(s.Metric("go_memstats_heap_alloc_bytes"), 64)
	if err != nil {
		s.T.Fatal(err)
	}
	z.heap = int64(bytes)
	s.T.Logf("%s: heap %.1f MiB, %d goroutines, resident memory %.1f MiB", when, bytes/(1<<20), z.goroutines, float64(s.Memory("VmRSS"))/(1<<20))
	return z
}

func (s *soak) Get(path string) string {
	s.T.Helper()
	resp, err := http.Get(s.AdminURL + path)
	if err != nil {
		s.T.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.T.Fatal(err)
	}
	return string(body)
}

// goroutines counts the gateway's goroutines without those of idle connections, whose number
// depends on the load's concurrency.
func (s *soak) goroutines() int {
	s.T.Helper()
	profile := s.Get("/debug/pprof/goroutine?debug=1")
	all := 0
	for _, stack := range strings.Split(profile, "\n\n") {
		if strings.Contains(stack, "net/http.(*persistConn)") || strings.Contains(stack, "net/http.(*conn).serve") || strings.Contains(stack, "backgroundRead") {
			continue
		}
		if n := regexp.MustCompile(`(?m)^(\d+) @`).FindStringSubmatch(stack); n != nil {
			count, _ := strconv.Atoi(n[1])
			all += count
		}
	}
	return all
}

// Load applies the load for some time and waits for its end.
func (s *soak) Load(d time.Duration) {
	s.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	var workers sync.WaitGroup
	work := func(n int, once func(ctx context.Context) error) {
		for range n {
			workers.Go(func() {
				for ctx.Err() == nil {
					if err := once(ctx); err != nil && ctx.Err() == nil {
						s.T.Error(err)
						return
					}
				}
			})
		}
	}
	work(4, s.Query)
	work(1, s.change)
	work(20, s.follow)
	work(5, s.listen)
	work(1, func(ctx context.Context) error { // keeps robots busy, and clears the console's request log
		ids := s.Sim.Data().RobotIDs(s.Sim.Data().MainDepartmentID())
		s.Sim.SetRobotStatus(ids[rand.IntN(len(ids))], []string{"Ready", "Busy"}[rand.IntN(2)])
		s.Sim.ResetCounts()
		backoff.Wait(ctx, 20*time.Millisecond)
		return ctx.Err()
	})
	workers.Wait()
}

// Answered sends an operation and returns its error.
func (s *soak) Answered(ctx context.Context, operation string, into any) error {
	a, err := s.AskContext(ctx, operation, e2e.Request{})
	if err != nil {
		return err
	}
	if len(a.Errors) > 0 {
		return fmt.Errorf("%.200s: %.500s", operation, a.Body)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(a.Data, into)
}

func (s *soak) Query(ctx context.Context) error {
	queries := []string{e2e.JoinQuery, e2e.TreeQuery, `{ queues { totalCount } viewer { userName } }`, `{ robots(first: 100) { nodes { name status } } }`}
	defer s.queries.Add(1)
	if err := s.Answered(ctx, queries[rand.IntN(len(queries))], nil); err != nil {
		return err
	}
	backoff.Wait(ctx, 20*time.Millisecond)
	return ctx.Err()
}

// change creates, changes and deletes a queue, and executes a workflow twice with one key.
func (s *soak) change(ctx context.Context) error {
	n := s.round.Add(1)
	var made struct {
		CreateQueue struct{ Queue struct{ ID string } }
	}
	if err := s.Answered(ctx, fmt.Sprintf(`mutation { createQueue(input: {name: "soak %d", idempotencyKey: "q%d"}) { queue { id } } }`, n, n), &made); err != nil {
		return err
	}
	id := made.CreateQueue.Queue.ID
	workflow := s.Sim.Data().WorkflowIDs(s.Sim.Data().MainDepartmentID())[0]
	for _, operation := range []string{
		fmt.Sprintf(`mutation { updateQueue(input: {id: %q, description: "changed"}) { queue { description robots { totalCount } } } }`, id),
		fmt.Sprintf(`mutation { executeWorkflow(input: {id: %q, idempotencyKey: "x%d"}) { jobs { id } workflow { name } } }`, workflow, n),
		fmt.Sprintf(`mutation { executeWorkflow(input: {id: %q, idempotencyKey: "x%d"}) { jobs { id } } }`, workflow, n),
		fmt.Sprintf(`mutation { deleteQueue(input: {id: %q}) { deletedId } }`, id),
	} {
		if err := s.Answered(ctx, operation, nil); err != nil {
			return err
		}
		s.mutations.Add(1)
	}
	backoff.Wait(ctx, 100*time.Millisecond)
	return ctx.Err()
}

// follow subscribes over a WebSocket for some events, and ends in one of several ways.
func (s *soak) follow(ctx context.Context) error {
	conn, _, err := websocket.Dial(ctx, s.URL+"/graphql", &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	for _, m := range []string{
		`{"type":"connection_init"}`,
		`{"id":"1","type":"subscribe","payload":{"query":"subscription { robotChanged { id status department { name } } }"}}`,
	} {
		if err := conn.Write(ctx, websocket.MessageText, []byte(m)); err != nil {
			return err
		}
	}
	s.subscriptions.Add(1)
	for range 5 {
		_, raw, err := conn.Read(ctx)
		if err != nil {
			return err
		}
		if strings.Contains(string(raw), `"errors"`) {
			return fmt.Errorf("received %.500s", raw)
		}
		s.events.Add(1)
	}
	switch rand.IntN(3) {
	case 0: // disappear
		return nil
	case 1:
		if err := conn.Write(ctx, websocket.MessageText, []byte(`{"id":"1","type":"complete"}`)); err != nil {
			return err
		}
		return nil
	default:
		_ = conn.Close(websocket.StatusNormalClosure, "")
		return nil
	}
}

// listen reads some Server-Sent Events.
func (s *soak) listen(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/graphql?query=subscription%7BrobotChanged%7Bid%20status%7D%7D", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := s.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	s.subscriptions.Add(1)
	buffer := make([]byte, 4096)
	for range 5 {
		n, err := resp.Body.Read(buffer)
		if err != nil {
			return err
		}
		if strings.Contains(string(buffer[:n]), `"errors"`) {
			return fmt.Errorf("received %.500s", buffer[:n])
		}
	}
	return nil
}
