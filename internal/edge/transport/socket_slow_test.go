package transport

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/edge/slowreader"
)

// slowConn is a connection of a client that reads slowly, behind a buffer.
type slowConn struct {
	net.Conn
	rate     int // bytes per second; 0: the client reads nothing after the first message
	buffered chan []byte
	rest     []byte
	closed   context.Context
	close    context.CancelFunc
}

// slowDialer returns a wrapper of a dialer whose connections have a buffer of that many pieces of 32 KiB.
func slowDialer(rate, pieces int) func(dialer) dialer {
	return func(dial dialer) dialer {
		return func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			c := &slowConn{Conn: conn, rate: rate, buffered: make(chan []byte, pieces)}
			c.closed, c.close = context.WithCancel(context.WithoutCancel(ctx))
			go c.fill()
			return c, nil
		}
	}
}

func (c *slowConn) fill() {
	defer close(c.buffered)
	for {
		piece := make([]byte, 32<<10)
		n, err := c.Conn.Read(piece)
		if err != nil {
			return
		}
		select {
		case c.buffered <- piece[:n]:
		case <-c.closed.Done():
			return
		}
	}
}

func (c *slowConn) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		select {
		case piece, more := <-c.buffered:
			if !more {
				return 0, io.EOF
			}
			c.rest = piece
			if len(piece) > 1<<10 && c.rate == 0 {
				<-c.closed.Done()
			}
		case <-c.closed.Done():
			return 0, net.ErrClosed
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	if c.rate > 0 {
		time.Sleep(time.Duration(n) * time.Second / time.Duration(c.rate))
	}
	return n, nil
}

func (c *slowConn) Close() error {
	c.close()
	return c.Conn.Close()
}

// large is the size of a large response.
const large = 4 << 20

func largeResponse() responding {
	return responding{response: graphql.Response{Data: []byte(`"` + strings.Repeat("a", large) + `"`)}}
}

// TestSlowClientsGetWholeResponses verifies that a client that reads steadily gets a large response, and answers later pings. Its
// own pings are answered while it reads.
func TestSlowClientsGetWholeResponses(t *testing.T) {
	for name, tt := range map[string]struct{ rate, pieces int }{
		"without a buffer": {256 << 10, 0}, "with a large buffer": {64 << 10, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := openSocketBy(t, largeResponse(), Options{Keepalive: 15 * time.Second}, slowDialer(tt.rate, tt.pieces))
				conn.SetReadLimit(-1)
				say(t, conn, `{"type":"connection_init"}`, fmt.Sprintf(subscribe, 1))
				pinged := make(chan error, 1)
				go func() {
					time.Sleep(time.Second)
					pinged <- conn.Ping(t.Context())
				}()
				var got []int
				for range 4 {
					if len(got) == 3 {
						time.AfterFunc(10*time.Minute, func() { say(t, conn, `{"type":"ping"}`) })
					}
					_, message, err := conn.Read(t.Context())
					if err != nil {
						t.Fatalf("after messages with %d bytes: %v", got, err)
					}
					got = append(got, len(message))
				}
				if err := <-pinged; err != nil {
					t.Errorf("a ping of the client: %v", err)
				}
				if got[1] < large || got[3] != len(`{"type":"pong"}`) {
					t.Errorf("messages with %d bytes", got)
				}
			})
		})
	}
}

// TestSilentClientsAreCut verifies when a client that reads nothing loses its connection.
func TestSilentClientsAreCut(t *testing.T) {
	const keepalive = 15 * time.Second
	for name, tt := range map[string]struct {
		pieces int
		starts string
		after  time.Duration
	}{
		"while a response is sent": {0, fmt.Sprintf(subscribe, 1), slowreader.WriteTime(large + 100)},
		"after a response":         {1000, fmt.Sprintf(subscribe, 1), keepalive + pongTimeout + slowreader.WriteTime(slowreader.MaxWriteBytes)},
		"while it is idle":         {1000, "", keepalive + pongTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				streams := &Streams{}
				conn := openSocketBy(t, largeResponse(), Options{Keepalive: keepalive, Streams: streams}, slowDialer(0, tt.pieces))
				say(t, conn, `{"type":"connection_init"}`)
				if _, _, err := conn.Read(t.Context()); err != nil {
					t.Fatal(err)
				}
				if tt.starts != "" {
					say(t, conn, tt.starts)
				}
				ended := func() bool {
					streams.mu.Lock()
					defer streams.mu.Unlock()
					return len(streams.open) == 0
				}
				time.Sleep(tt.after / 8)
				if ended() {
					t.Error("the connection has ended early")
				}
				time.Sleep(tt.after)
				if !ended() {
					t.Errorf("the connection goes on after %v", tt.after)
				}
			})
		})
	}
}

// TestSlowStreamsGetWholeEvents verifies that a stream of events gives a client the time to read a large one.
func TestSlowStreamsGetWholeEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := pipes{make(chan net.Conn), make(chan struct{})}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			events := 2
			sse{streams: &Streams{}, keepalive: 15 * time.Second, log: slog.New(slog.DiscardHandler)}.stream(ctx, cancel, w, r, false, func(context.Context) *graphqlhttp.Encoded {
				if events--; events < 0 {
					return nil
				}
				return &graphqlhttp.Encoded{[]byte(strings.Repeat("a", large))}
			})
		})}
		go func() { _ = server.Serve(listener) }()
		defer server.Close()
		client := &http.Client{Transport: &http.Transport{DialContext: slowDialer(256<<10, 0)(listener.dial), DisableKeepAlives: true}}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://pipe/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || !strings.HasSuffix(string(body), frameComplete) || len(body) < 2*large {
			t.Errorf("read %d bytes, %v", len(body), err)
		}
	})
}
