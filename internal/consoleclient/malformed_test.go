package consoleclient

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient/transport"
	"github.com/consoleql/consoleql/internal/fault"
)

// TestMalformedAnswersAreNotLostConnections verifies that an answer that is not HTTP is invalid. Unlike a request whose
// connection was lost, its request is not sent again.
func TestMalformedAnswersAreNotLostConnections(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	invalid, lost := fault.UpstreamInvalidResponse, fault.UpstreamUnavailable
	for name, tt := range map[string]struct {
		sends string
		code  fault.Code
	}{
		"garbage":                  {"SSH-2.0-OpenSSH_9.9\r\n", invalid},
		"a malformed status":       {"HTTP/1.1 2OO OK\r\n\r\n", invalid},
		"another version":          {"HTTP/one 200 OK\r\n\r\n", invalid},
		"a malformed header":       {ok + "no colon\r\n\r\n", invalid},
		"a header without end":     {ok + "X: " + strings.Repeat("x", 11<<20), invalid},
		"a malformed length":       {ok + "Content-Length: ten\r\n\r\n[]", invalid},
		"an unknown coding":        {ok + "Transfer-Encoding: rot13\r\n\r\n[]", invalid},
		"a malformed chunk":        {ok + "Transfer-Encoding: chunked\r\n\r\nlength\r\n[]\r\n0\r\n\r\n", invalid},
		"a chunk with a long head": {ok + "Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("x", 5<<10) + "\r\n[\r\n0\r\n\r\n", invalid},
		"nothing":                  {"", lost},
		"half a head":              {ok, lost},
		"half a body":              {ok + "Content-Length: 10\r\n\r\n[", lost},
		"half a chunk":             {ok + "Transfer-Encoding: chunked\r\n\r\na\r\n[", lost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			client := newTestClient(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.WriteString(conn, tt.sends) // the client may close first
				_ = conn.Close()
			}), func(o *Options) { // a busy machine must not take so long that a read is sent twice
				o.Transport, o.Timeout = transport.New(transport.Options{HedgeDelay: time.Hour}), time.Hour
			})
			most := int64(1)
			if tt.code == lost {
				most += maxRetries
			}
			if _, err := client.Robots(t.Context(), testScope, List[RobotFilter]{}); fault.CodeOf(err) != tt.code || asked.Load() != most {
				t.Errorf("a read is sent %d times: %v", asked.Load(), err)
			}
			asked.Store(0)
			if err := client.DeleteQueue(t.Context(), testScope, guid); fault.CodeOf(err) != tt.code || fault.OutcomeOf(err) != fault.Unknown || asked.Load() != 1 {
				t.Errorf("a mutation is sent %d times: %v, outcome %v", asked.Load(), err, fault.OutcomeOf(err))
			}
		})
	}
}
