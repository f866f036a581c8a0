//go:build linux

package limits

import (
	"bytes"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/consoleql/consoleql/test/e2e"
)

// TestUnreadAnswersDoNotExhaustTheMemory sends many queries with large answers by each transport, and reads nothing of the
// answers. The memory of the gateway stays the same, and another caller is answered.
func TestUnreadAnswersDoNotExhaustTheMemory(t *testing.T) {
	t.Parallel()
	const connections, queries, most = 20, 40, 640 << 20
	query := `{ workflows(first: 500) { nodes { ` + aliased(70, 128, "id") + ` } } }`
	overHTTP2 := func(header map[string]string) func(*limited) {
		return func(l *limited) {
			var begun sync.WaitGroup
			for range connections {
				var protocols http.Protocols
				protocols.SetUnencryptedHTTP2(true)
				transport := &http.Transport{Protocols: &protocols, HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10}}
				l.T.Cleanup(transport.CloseIdleConnections)
				for range queries {
					begun.Add(1)
					go l.leave(transport, query, header, begun.Done)
				}
			}
			begun.Wait()
		}
	}
	for name, send := range map[string]func(*limited){
		"WebSocket": func(l *limited) {
			for range connections {
				s := l.Socket(l.user)
				for i := range queries {
					s.Subscribe(fmt.Sprint(i), query)
				}
			}
		},
		"events over HTTP/2":            overHTTP2(map[string]string{"Accept": "text/event-stream"}),
		"compressed events over HTTP/2": overHTTP2(map[string]string{"Accept": "text/event-stream", "Accept-Encoding": "gzip"}),
		"JSON over HTTP/2":              overHTTP2(nil),
		"JSON that is not kept":         overHTTP2(map[string]string{"Cache-Control": "no-store"}),
	} {
		t.Run(name, func(t *testing.T) {
			l := startLimited(t, 0)
			l.T = t
			send(l)
			for range 500 {
				a, err := l.Post(graphqlBody(`{ viewer { userName } }`), l.other)
				if err != nil || len(a.Errors) > 0 {
					t.Fatalf("another caller is answered %v: %.300s", err, a.Body)
				}
			}
			peak := peakMemory(t, l.Cmd.Process.Pid)
			t.Logf("at most %d MiB", peak>>20)
			if peak > most {
				t.Errorf("the process has had %d MiB, more than %d", peak>>20, most>>20)
			}
		})
	}
}

// leave sends a query, calls begun with the beginning of its answer, and reads nothing more until the test ends.
func (l *limited) leave(by http.RoundTripper, query string, header map[string]string, begun func()) {
	req, err := http.NewRequestWithContext(l.T.Context(), http.MethodPost, l.URL+"/graphql", bytes.NewReader(e2e.Encode(l.T, map[string]string{"query": query})))
	if err != nil {
		begun()
		return // the address is that of other requests
	}
	for name, value := range e2e.MergeHeaders(e2e.JSONBody, l.user, header) {
		req.Header.Set(name, value)
	}
	resp, err := by.RoundTrip(req)
	begun()
	if err != nil {
		return // the gateway may refuse streams
	}
	defer resp.Body.Close()
	<-l.T.Context().Done()
}
