package edge

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serveCoalescing serves h on coalescing connections, and dials it.
func serveCoalescing(t *testing.T, h http.HandlerFunc) net.Conn {
	t.Helper()
	server := httptest.NewUnstartedServer((&server{}).coalescedWrites(h))
	server.Listener = CoalesceWrites(server.Listener, nil)
	server.Config.ConnContext = ConnContext
	server.Start()
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func ask(t *testing.T, conn net.Conn, method, path string) {
	t.Helper()
	if _, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\n\r\n", method, path); err != nil {
		t.Fatal(err)
	}
}

// writeAnswer answers with as many bytes as the path names, and with a Content-Length.
func writeAnswer(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.URL.Path[1:])
	body := bytes.Repeat([]byte("0123456789"), n/10)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// TestAnswerIsOneWrite verifies that one read returns the whole answer.
func TestAnswerIsOneWrite(t *testing.T) {
	conn := serveCoalescing(t, writeAnswer)
	buffer := make([]byte, 1<<20)
	for _, length := range []int{10, 3_900, 4_000, 4_090, 4_100, 7_000, 8_200, 20_000} {
		for i := range 50 {
			ask(t, conn, http.MethodGet, "/"+strconv.Itoa(length))
			n, err := conn.Read(buffer)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(buffer[:n])), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || len(body) != length {
				t.Fatalf("answer %d of %d bytes came in pieces: the first had %d of its body (%v)", i, length, len(body), err)
			}
		}
	}
}

// TestCoalescedAnswers verifies that consecutive answers on one connection are unchanged.
func TestCoalescedAnswers(t *testing.T) {
	header := map[string]string{"/header": strings.Repeat("h", 6_000)}
	conn := serveCoalescing(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Long", header[r.URL.Path])
		switch r.URL.Path {
		case "/304":
			w.Header().Set("Content-Length", "5000")
			w.WriteHeader(http.StatusNotModified)
		case "/204":
			w.WriteHeader(http.StatusNoContent)
		case "/404":
			w.Header().Set("Content-Length", "5000")
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write(bytes.Repeat([]byte("x"), 5000))
		case "/header":
			r.URL.Path = "/7000"
			writeAnswer(w, r)
		case "/chunked":
			for range 3 {
				_, _ = w.Write(bytes.Repeat([]byte("x"), 3000))
			}
		case "/flushed":
			w.Header().Set("Content-Length", "7000")
			w.(http.Flusher).Flush()
			_, _ = w.Write([]byte("HTTP/1.1\r\n\r\n" + strings.Repeat("x", 6988)))
		default:
			writeAnswer(w, r)
		}
	})
	from := bufio.NewReader(conn)
	for range 2 {
		for _, tt := range []struct {
			method, path string
			status, body int
		}{
			{http.MethodGet, "/7000", 200, 7000},
			{http.MethodHead, "/7000", 200, 0},
			{http.MethodGet, "/304", 304, 0},
			{http.MethodGet, "/204", 204, 0},
			{http.MethodGet, "/404", 404, 5000},
			{http.MethodGet, "/header", 200, 7000},
			{http.MethodGet, "/0", 200, 0},
			{http.MethodGet, "/chunked", 200, 9000},
			{http.MethodGet, "/flushed", 200, 7000},
			{http.MethodGet, "/2000000", 200, 2_000_000},
			{http.MethodGet, "/10", 200, 10},
		} {
			ask(t, conn, tt.method, tt.path)
			resp, err := http.ReadResponse(from, &http.Request{Method: tt.method})
			if err != nil {
				t.Fatalf("%s %s: %v", tt.method, tt.path, err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != tt.status || len(body) != tt.body {
				t.Errorf("%s %s: %d with %d bytes, want %d with %d (%v)", tt.method, tt.path, resp.StatusCode, len(body), tt.status, tt.body, err)
			}
		}
	}
}

// TestStreamsAreNotDelayed verifies that each piece arrives before the next one is written.
func TestStreamsAreNotDelayed(t *testing.T) {
	const piece = 4096 // as large as the server's buffer
	next := make(chan struct{})
	conn := serveCoalescing(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/announced" {
			w.Header().Set("Content-Length", strconv.Itoa(3*piece))
		}
		for range 3 {
			_, _ = w.Write(bytes.Repeat([]byte("x"), piece))
			w.(http.Flusher).Flush()
			<-next
		}
	})
	from := bufio.NewReader(conn)
	for _, path := range []string{"/announced", "/chunked"} {
		ask(t, conn, http.MethodGet, path)
		var resp *http.Response
		for range 3 {
			var err error
			if resp == nil {
				if resp, err = http.ReadResponse(from, nil); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := io.ReadFull(resp.Body, make([]byte, piece)); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			next <- struct{}{}
		}
		if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
			t.Errorf("%s: %d bytes more, %v", path, len(rest), err)
		}
	}
}

// TestCoalescingConnectionCanBeHijacked verifies the use by WebSockets.
func TestCoalescingConnectionCanBeHijacked(t *testing.T) {
	conn := serveCoalescing(t, func(w http.ResponseWriter, _ *http.Request) {
		taken, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(taken, "mine")
		_ = taken.Close()
	})
	ask(t, conn, http.MethodGet, "/")
	if got, err := io.ReadAll(conn); err != nil || string(got) != "mine" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestAnswersUnderWayCloseTheirConnectionsOfAStoppingGateway verifies that an answer closes its connection if the gateway
// begins to stop before its head is written, whichever call writes that.
func TestAnswersUnderWayCloseTheirConnectionsOfAStoppingGateway(t *testing.T) {
	for name, write := range map[string]func(w http.ResponseWriter){
		"a status": func(w http.ResponseWriter) { w.WriteHeader(http.StatusTeapot) },
		"a body":   func(w http.ResponseWriter) { _, _ = io.WriteString(w, "text") },
		"a flush":  func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
		"a hint":   func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints) },
	} {
		t.Run(name, func(t *testing.T) {
			var stopping atomic.Bool
			s := &server{opts: Options{Stopping: stopping.Load}}
			rec := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r = r.WithContext(context.WithValue(r.Context(), connKey{}, &coalescingConn{}))
			s.coalescedWrites(s.closeWhileStopping(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				stopping.Store(true)
				write(w)
			}))).ServeHTTP(rec, r)
			if got := rec.Header().Get("Connection") == "close"; got != (name != "a hint") {
				t.Errorf("Connection: close is %t", got)
			}
		})
	}
}
