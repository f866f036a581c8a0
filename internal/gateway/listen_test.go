package gateway

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// TestIdleConnections: load balancers send requests on connections that have been idle for up to 600 seconds.
func TestIdleConnections(t *testing.T) {
	var s struct {
		Listeners `embed:""`
	}
	parser, err := kong.New(&s, Defaults())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(nil); err != nil {
		t.Fatal(err)
	}
	var logs bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	l, err := listen(t.Context(), listenOptions{address: "127.0.0.1:0", idle: s.IdleTimeout, log: log}, http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l.server.IdleTimeout <= 600*time.Second {
		t.Errorf("idle connections close after %v", l.server.IdleTimeout)
	}
	if l.server.ErrorLog.Print("failed handshake"); !strings.Contains(logs.String(), `level=DEBUG msg="failed handshake"`) {
		t.Errorf("the server logs %q", &logs)
	}
	if s.ShutdownDelay <= 0 {
		t.Error("the gateway stops before load balancers know")
	}
}

// TestHeadersAreBounded: a request with two credentials and the longest query of a caller without any fits.
func TestHeadersAreBounded(t *testing.T) {
	l, err := listen(t.Context(), listenOptions{address: "127.0.0.1:0", idle: time.Minute, log: slog.New(slog.DiscardHandler)}, http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = l.serve() }()
	defer l.server.Close()
	for bytes, status := range map[int]int{48 << 10: http.StatusNotFound, 72 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go func() {
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Pad: "+strings.Repeat("x", bytes)+"\r\n\r\n")
		}()
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("a header of %d bytes is answered %d", bytes, resp.StatusCode)
		}
	}
}
