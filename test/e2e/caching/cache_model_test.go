package caching

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/backoff"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

var modelTime = flag.Duration("model", 5*time.Second, "how long TestNoReadIsOlderThanAWrite plays")

// modelled is a workflow whose priority counts its changes.
type modelled struct {
	id      string
	writing sync.Mutex   // serialises changes, so that their counts are ordered
	acked   atomic.Int64 // the last confirmed change
}

// model is two replicas with one console. It compares every answer with the changes confirmed
// before its request.
type model struct {
	*e2e.Fleet
	workflows   []*modelled
	byID        map[string]*modelled
	owner, solo map[string]string // headers
	// killing is held while a replica is killed, and shared by changes: one whose replica is killed could reach the
	// console after the next one.
	killing                       sync.RWMutex
	reads, writes, stale, crossed atomic.Int64
}

// TestNoReadIsOlderThanAWrite verifies that a read shows the last change confirmed before it,
// and only the principal's own data. This holds for all replicas, principals and queries.
// Meanwhile, replicas are killed, Redis is stopped, emptied or paused, and connections between
// replicas are cut.
func TestNoReadIsOlderThanAWrite(t *testing.T) {
	t.Parallel()
	m := &model{
		Fleet: e2e.NewFleet(t, 2, consolesim.Options{}, "CONSOLEQL_CACHE=on", "CONSOLEQL_CACHE_LIFE=robots=1m,workflows=1m,queues=1m"),
		byID:  make(map[string]*modelled),
	}
	data := m.Sim.Data()
	user, _ := m.Sim.DefaultUser()
	solo := data.SoloUser()
	tokens := &e2e.World{T: t, Sim: m.Sim}
	m.owner, m.solo = tokens.TokenHeader(user), e2e.MergeHeaders(tokens.TokenHeader(solo.Username), e2e.ScopeHeader(solo.CompanyIDs[0], ""))
	for _, id := range data.WorkflowIDs(data.MainDepartmentID())[:4] {
		w := &modelled{id: id}
		m.workflows, m.byID[id] = append(m.workflows, w), w
		m.Write(w) // the priority counts from here on
	}
	ctx, stop := context.WithTimeout(t.Context(), *modelTime)
	defer stop()
	var players sync.WaitGroup
	for range 6 {
		players.Go(func() {
			for ctx.Err() == nil {
				m.Read()
			}
		})
	}
	for range 2 {
		players.Go(func() {
			for ctx.Err() == nil {
				m.Write(m.workflows[rand.IntN(len(m.workflows))])
				time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
			}
		})
	}
	m.injectFaults(ctx)
	players.Wait()
	t.Logf("%d reads, %d writes", m.reads.Load(), m.writes.Load())
	if m.reads.Load() == 0 || m.writes.Load() == 0 {
		t.Error("nothing was played")
	}
	if n := m.stale.Load(); n > 0 {
		t.Errorf("%d reads were older than a write before them", n)
	}
	if n := m.crossed.Load(); n > 0 {
		t.Errorf("%d reads were another principal's", n)
	}
}

// injectFaults causes each kind of failure in sequence.
func (m *model) injectFaults(ctx context.Context) {
	m.T.Helper()
	client := redis.NewClient(&redis.Options{Addr: m.Redis.Addr(), MaxRetries: -1})
	defer client.Close()
	troubles := []func(){
		func() {
			m.killing.Lock()
			m.Kill(0)
			m.killing.Unlock()
			m.Start(0)
		},
		func() { client.Do(ctx, "CLIENT", "KILL", "TYPE", "pubsub") },
		func() { m.Redis.Pause(); backoff.Wait(ctx, 1500*time.Millisecond); m.Redis.Resume() },
		func() { m.Redis.Stop(); backoff.Wait(ctx, 300*time.Millisecond); m.Redis.Restart() },
		func() { client.FlushAll(ctx) },
		func() { m.Redis.Stop(); m.Redis.RestartEmpty() },
	}
	for i := 0; ctx.Err() == nil; i++ {
		backoff.Wait(ctx, 700*time.Millisecond)
		if ctx.Err() == nil {
			troubles[i%len(troubles)]()
		}
	}
}

// Write increments a workflow's count through any replica. After a change that fails, the next
// one is larger, whether it was made or not.
func (m *model) Write(w *modelled) {
	w.writing.Lock()
	defer w.writing.Unlock()
	next := w.acked.Load() + 1
	for try := range int64(20) {
		query := fmt.Sprintf(`mutation { updateWorkflow(input: {id: %q, priority: %d}) { workflow { id priority } } }`, w.id, next+try)
		m.killing.RLock()
		a, ok := m.Send(query, m.owner)
		m.killing.RUnlock()
		if ok && len(a.Errors) == 0 {
			w.acked.Store(next + try)
			m.writes.Add(1)
			return
		}
		time.Sleep(200 * time.Millisecond) // until the replica has started
	}
}

// Read reads data and compares it with the confirmed changes.
func (m *model) Read() {
	if rand.IntN(4) == 0 {
		m.readAsAnother()
		return
	}
	w := m.workflows[rand.IntN(len(m.workflows))]
	known := make(map[string]int64)
	for _, w := range m.workflows {
		known[w.id] = w.acked.Load()
	}
	query := [...]string{
		fmt.Sprintf(`{ workflow(id: %q) { id priority } }`, w.id),
		`{ workflows(first: 100) { nodes { id priority } } }`,
		`{ workflows(first: 100) { nodes { id priority package { name } queue { name } robots { name } } } }`,
		fmt.Sprintf(`{ workflow(id: %q) { package { workflows(first: 50) { nodes { id priority } } } } }`, w.id),
	}[rand.IntN(4)]
	header := m.owner
	if rand.IntN(2) == 0 {
		header = nil // the default account is another principal with the same data
	}
	a, ok := m.Send(query, header)
	if !ok || len(a.Errors) > 0 {
		return
	}
	m.reads.Add(1)
	for id, priority := range priorities(a.Data) {
		if w := m.byID[id]; w != nil && priority < known[id] {
			m.stale.Add(1)
			m.T.Errorf("%s has priority %d after %d was answered, by %s", id, priority, known[id], query)
		}
	}
}

// readAsAnother reads data that differs between users.
func (m *model) readAsAnother() {
	solo := rand.IntN(2) == 0
	header, name := m.owner, "demo"
	if solo {
		header, name = m.solo, m.Sim.Data().SoloUser().Username
	}
	a, ok := m.Send(`{ viewer { userName } companies { id } }`, header)
	if !ok || len(a.Errors) > 0 {
		return
	}
	m.reads.Add(1)
	var got struct {
		Viewer    struct{ UserName string }
		Companies []struct{ ID string }
	}
	if json.Unmarshal(a.Data, &got) != nil || got.Viewer.UserName != name || solo != (len(got.Companies) == 1) {
		m.crossed.Add(1)
		m.T.Errorf("%s reads %s", name, a.Data)
	}
}

// Send sends a query to any replica. ok is false if that was killed.
func (m *model) Send(query string, header map[string]string) (a e2e.Answer, ok bool) {
	p := m.Slots[rand.IntN(len(m.Slots))].Load()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		return a, false
	}
	req, err := http.NewRequest(http.MethodPost, p.URL+"/graphql", bytes.NewReader(body))
	if err != nil {
		return a, false
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := p.Client.Do(req)
	if err != nil {
		return a, false
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || json.Unmarshal(text, &a) != nil {
		return a, false
	}
	return a, true
}

// priorities returns those of all objects in an answer that have an id and a priority.
func priorities(data []byte) map[string]int64 {
	var tree any
	if json.Unmarshal(data, &tree) != nil {
		return nil
	}
	found := make(map[string]int64)
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			id, isEntity := v["id"].(string)
			if priority, ok := v["priority"].(float64); ok && isEntity {
				found[id] = int64(priority)
			}
			for _, child := range v {
				walk(child)
			}
		case []any:
			for _, child := range v {
				walk(child)
			}
		}
	}
	walk(tree)
	return found
}
