package edge

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// TestBodiesThatStopInTheMiddle are given up, however long the whole may take.
func TestBodiesThatStopInTheMiddle(t *testing.T) {
	const pause = time.Second // long enough for a busy machine
	read := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(patient(w, r.Body, pause))
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
			if !tt.stops {
				if _, err := conn.Read(make([]byte, 1)); err != nil {
					t.Errorf("no answer: %v", err)
				}
			}
		})
	}
}
