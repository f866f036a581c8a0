package limits

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestOperationsOfSocketsAreCounted: while the console hangs, the operations of a WebSocket hold at most the pool of requests.
// Each one beyond is refused, and another caller is answered.
func TestOperationsOfSocketsAreCounted(t *testing.T) {
	t.Parallel()
	const operations, size = 60, 900 << 10
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	var key map[string]string
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, sim *consolesim.Server) {
		k := e2e.Keyring{T: t}
		k.Account("owner", sim.Data().Users()[0])
		key = k.Key("owner", "owner", "")
		s.APIKeysFile = k.Write()
		s.OperationTimeout, s.ConsoleTimeout = e2e.Timeout, e2e.Timeout // a busy machine takes long to send the messages
	}, e2e.Proxy(t, func(r *http.Request) {
		if strings.Contains(strings.ToLower(r.URL.Path), "robots") {
			<-gate
		}
	}, func(_ *http.Request, body string) string { return body }))
	t.Cleanup(open) // before the console closes
	owner, _ := w.Sim.DefaultUser()
	s := w.Socket(w.TokenHeader(owner))
	padding := strings.Repeat("x", size)
	go func() {
		for i := range operations {
			s.Subscribe(fmt.Sprint(i), fmt.Sprintf("{ robots { totalCount } } # %d %s", i, padding))
		}
		s.Send(e2e.Message{Type: "ping"})
	}()
	refused := make(map[string]bool)
	m := s.Receive()
	for ; m.Type == "error"; m = s.Receive() {
		if errs := e2e.Decode[[]e2e.GraphError](t, m.Payload); len(errs) != 1 || errs[0].Extensions.Code != "RATE_LIMITED" || refused[m.ID] {
			t.Fatalf("received %s %q: %s", m.Type, m.ID, m.Payload)
		}
		refused[m.ID] = true
	}
	if m.Type != "pong" {
		t.Fatalf("received %s %q: %s", m.Type, m.ID, m.Payload)
	}
	held := operations - len(refused)
	if held < 10 || held*size > graphqlhttp.BodyPoolBytes {
		t.Errorf("%d operations hold %d MiB", held, held*size>>20)
	}
	if resp, said := w.Send(http.MethodPost, "/graphql", graphqlBody("{ viewer { userName } } #"+padding), e2e.MergeHeaders(key, e2e.JSONBody)); resp.StatusCode != http.StatusOK || strings.Contains(string(said), "errors") {
		t.Errorf("another caller is answered %d: %.300s", resp.StatusCode, said)
	}
	open()
	for range 2 * held {
		if m := s.Receive(); refused[m.ID] || m.Type != "next" && m.Type != "complete" {
			t.Fatalf("received %s %q: %.300s", m.Type, m.ID, m.Payload)
		}
	}
	s.Subscribe("last", "{ robots { totalCount } } #"+padding)
	if a := s.Next("last"); len(a.Errors) > 0 {
		t.Errorf("an operation after the others is answered %s", a.Body)
	}
}
