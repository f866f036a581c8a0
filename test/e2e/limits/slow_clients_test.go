//go:build linux

package limits

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// stalled is the number of clients that read nothing.
var stalled = flag.Int("stalled", 100, "how many clients TestClientsThatReadNothing has")

// guard bounds waits for a gateway on a busy machine.
const guard = 2 * time.Minute

// dial opens a connection and sends the head of a request and the beginning of its body.
func dial(t *testing.T, url string, length int, header map[string]string, body string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Error(err)
		return nil
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(guard))
	var head strings.Builder
	fmt.Fprintf(&head, "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", length)
	for name, value := range header {
		fmt.Fprintf(&head, "%s: %s\r\n", name, value)
	}
	if _, err := io.WriteString(conn, head.String()+"\r\n"+body); err != nil {
		t.Logf("the gateway reads no more: %v", err)
	}
	return conn
}

// TestClientsThatReadNothing lets many clients ask for a large answer that is cached, and read its first byte only. The
// released binary is within its bound of memory at its default settings, and answers another caller.
func TestClientsThatReadNothing(t *testing.T) {
	t.Parallel()
	l := startLimited(t, 0)
	body := graphqlBody(`{ workflows(first: 500) { nodes { ` + aliased(60, 128, "id") + `} } }`)
	for range 2 {
		if a, err := l.Post(body, l.user); err != nil || len(a.Errors) > 0 || len(a.Data) < 4<<20 {
			t.Fatalf("answered %v, %d bytes: %.300s", err, len(a.Data), a.Body)
		}
	}
	for range *stalled {
		conn := dial(t, l.URL, len(body), l.user, body)
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Errorf("no answer begins: %v", err)
		}
	}
	if a, err := l.Post(graphqlBody(`{ viewer { userName } }`), l.other); err != nil || len(a.Errors) > 0 {
		t.Errorf("another caller is answered %v: %.300s", err, a.Body)
	}
	const most = 400 << 20
	if peak := peakMemory(t, l.Cmd.Process.Pid); peak > most {
		t.Errorf("the process has had %d MiB, more than %d", peak>>20, most>>20)
	} else {
		t.Logf("at most %d MiB", peak>>20)
	}
}

// TestStalledBodiesOfBearers lets clients with made-up tokens stop within long bodies. A long request with an API key is
// answered.
func TestStalledBodiesOfBearers(t *testing.T) {
	t.Parallel()
	const clients, length = 80, 1 << 20
	var key map[string]string
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous, func(s *gateway.Settings, sim *consolesim.Server) {
		k := e2e.Keyring{T: t}
		k.Account("owner", sim.Data().Users()[0])
		key = k.Key("owner", "owner", "")
		s.APIKeysFile = k.Write()
	})
	body := `{"query":"{ viewer { userName } }","variables":{"v":"` + strings.Repeat("x", length) + `"}}`
	body = strings.Replace(body, strings.Repeat("x", len(body)-length), "", 1)
	refused := make(chan bool, clients)
	for i := range clients {
		go func() {
			conn := dial(t, w.URL, length, map[string]string{"Authorization": fmt.Sprint("Bearer made-up-", i)}, body[:length-1])
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err == nil {
				_ = answer.Body.Close()
			}
			refused <- err == nil && answer.StatusCode == http.StatusServiceUnavailable
		}()
	}
	for range clients / 2 { // the others have taken the memory, and stop
		if !<-refused {
			t.Fatal("a body that stops is answered before there is no memory")
		}
	}
	if resp, said := w.Send(http.MethodPost, "/graphql", body, e2e.MergeHeaders(key, e2e.JSONBody)); resp.StatusCode != http.StatusOK || strings.Contains(string(said), "errors") {
		t.Errorf("an API key is answered %d: %s", resp.StatusCode, said)
	}
}
