package edge

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
	"github.com/consoleql/consoleql/internal/edge/slowreader"
)

// TestIncompleteBodies verifies that a stalled body ends with a timeout, although a
// whole body may take long.
func TestIncompleteBodies(t *testing.T) {
	const pause = time.Second // long enough for a busy machine
	read := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(idleTimeout(w, r.Body, pause))
		read <- err
		if err == nil { // the deadline of the body is not one of the answer
			time.Sleep(2 * pause)
			if r.Context().Err() != nil {
				t.Error("the request has ended with the deadline of its body")
			}
		}
	}))
	defer server.Close()
	for name, tt := range map[string]struct {
		pieces []string
		stops  bool
	}{
		"slow":  {[]string{"a", "b", "c", "d"}, false},
		"stops": {[]string{"a"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			for _, piece := range tt.pieces {
				time.Sleep(pause / 5)
				if _, err := io.WriteString(conn, piece); err != nil {
					t.Fatal(err)
				}
			}
			err = <-read
			if stopped := errors.Is(err, os.ErrDeadlineExceeded); stopped != tt.stops || !tt.stops && err != nil {
				t.Errorf("read %v", err)
			}
			// The server must answer without waiting for the rest.
			_ = conn.SetReadDeadline(time.Now().Add(10 * pause))
			if _, err := conn.Read(make([]byte, 1)); err != nil {
				t.Errorf("no answer: %v", err)
			}
		})
	}
}

// TestUnreadBodies verifies that unread bodies do not hold connections or answers.
func TestUnreadBodies(t *testing.T) {
	const limit = 500 * time.Millisecond
	server := httptest.NewServer(readDeadline(limit)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	})))
	defer server.Close()
	for name, head := range map[string]string{"a length": "Content-Length: 100", "chunks": "Transfer-Encoding: chunked"} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n"+head+"\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(20 * limit))
			got, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 418 ") {
				t.Errorf("%v, after %q", err, got)
			}
		})
	}
}

// TestNonReadingClients verifies that their connections are closed.
func TestNonReadingClients(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := CoalesceWrites(listener, nil).Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)) // who knows better than the default
	begun := time.Now()
	if _, err := conn.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) > slowreader.WriteGrace {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
	// net/http removes the deadline after each request.
	_ = conn.SetWriteDeadline(time.Time{})
	go func() { _, _ = io.Copy(io.Discard, client) }()
	if _, err := conn.Write([]byte("more")); err != nil {
		t.Error(err)
	}
}

// TestBodiesThatAreNotRead are refused before their end comes, for their size or for lack of memory. The whole answer and the end
// of the connection come at once, and a client that still sends can read them.
func TestBodiesThatAreNotRead(t *testing.T) {
	const most = querylimit.AnonymousBodyBytes
	text := strings.Repeat("x", most+1)
	for name, tt := range map[string]struct {
		body   string
		busy   bool
		status string
	}{
		"too large, chunked":         {fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(text), text), false, "413"},
		"too large, with its length": {fmt.Sprintf("Content-Length: %d\r\n\r\n", 1<<20), false, "413"},
		"without memory":             {fmt.Sprintf("Content-Length: %d\r\n\r\n%s", most, text[:most/2]), true, "503"},
	} {
		for said, more := range map[string]int{"stops": 0, "sends on": most / 2} {
			t.Run(name+", "+said, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &server{opts: Options{Limits: querylimit.Limits{}.WithDefaults(), Logger: slog.New(slog.DiscardHandler)}, bodies: graphqlhttp.NewBodyPool(0)}
					if tt.busy {
						others := s.bodies.Begin(t.Context())
						defer others.Release()
						if _, err := io.CopyN(io.Discard, others.Reader(rand.Reader), graphqlhttp.AnonymousBytes); err != nil {
							t.Fatal(err)
						}
					}
					client := servedPipe(t, readDeadline(time.Hour)(s.observe(s.countBody(s.limitBody(s.readParameters(http.NotFoundHandler()))))))
					sent := make(chan error, 1)
					go func() {
						_, err := io.WriteString(client, "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+tt.body)
						for n := 0; n < more && err == nil; n += 1 << 10 {
							_, err = io.WriteString(client, text[:1<<10])
						}
						sent <- err
					}()
					begun := time.Now()
					got, err := io.ReadAll(client)
					if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 "+tt.status+" ") || !strings.Contains(string(got), "\r\nConnection: close\r\n") || !strings.HasSuffix(string(got), "}") {
						t.Errorf("%v, after %q", err, got)
					}
					if took := time.Since(begun); took > 0 {
						t.Errorf("the answer ends after %v", took)
					}
					if err := <-sent; err != nil && !strings.Contains(tt.body, "chunked") { // that what follows is no chunk ends the connection
						t.Errorf("the client cannot send: %v", err)
					}
				})
			})
		}
	}
}

// halfPipe is one end of an in-memory connection that can be closed for writing, as TCP.
type halfPipe struct {
	net.Conn // reads
	out      net.Conn
}

func (p halfPipe) Write(b []byte) (int, error) { return p.out.Write(b) }

func (p halfPipe) CloseWrite() error { return p.out.Close() }

func (p halfPipe) Close() error { return errors.Join(p.out.Close(), p.Conn.Close()) }

// servedPipe returns the client's end of a connection to a server. Call it in a bubble of synctest.
func servedPipe(t *testing.T, h http.Handler) net.Conn {
	t.Helper()
	in, sends := net.Pipe()
	receives, out := net.Pipe()
	listener := &oneConn{conn: make(chan net.Conn, 1)}
	listener.conn <- halfPipe{in, out}
	server := &http.Server{Handler: h, ConnContext: ConnContext}
	go func() { _ = server.Serve(listener) }()
	client := halfPipe{receives, sends}
	t.Cleanup(func() {
		_ = client.Close()
		_ = server.Close()
		time.Sleep(time.Minute) // net/http waits before it closes a connection
	})
	return client
}

// oneConn is a listener of one connection.
type oneConn struct{ conn chan net.Conn }

func (l *oneConn) Accept() (net.Conn, error) {
	if c, ok := <-l.conn; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error { close(l.conn); return nil }

func (*oneConn) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// TestNonReadingClientsAreBounded hold a bounded number of bytes in all, and no other client is affected.
func TestNonReadingClientsAreBounded(t *testing.T) {
	const size, bound = 16 << 20, 32 << 20
	limiter := &slowreader.Limiter{Bytes: bound}
	large := make([]byte, size)
	server := httptest.NewUnstartedServer((&server{}).coalescedWrites(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/small" {
			_, _ = io.WriteString(w, "small")
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(large)))
		if _, err := w.Write(bytes.Clone(large)); err == nil {
			t.Error("an answer was written that nobody read")
		}
	})))
	server.Listener = CoalesceWrites(server.Listener, limiter)
	server.Config.ConnContext = ConnContext
	server.Start()
	defer server.Close()
	most := int64(0)
	for range 8 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		one := make([]byte, 1)
		if _, err := conn.Read(one); err != nil { // then the answer counts
			t.Fatal(err)
		}
		most = max(most, limiter.Held())
	}
	if most > 2*bound || most < bound {
		t.Errorf("clients that read nothing hold %d bytes", most)
	}
	resp, err := http.Get(server.URL + "/small")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "small" {
		t.Errorf("%q, %v", body, err)
	}
}
