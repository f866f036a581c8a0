package uploads

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestSlowUploadsHoldNoPermits verifies that slow uploads of all sizes do not block other
// console calls.
func TestSlowUploadsHoldNoPermits(t *testing.T) {
	t.Parallel()
	for name, direct := range map[string]int64{"straight to the console": 1 << 20, "to the storage": 1} {
		t.Run(name, func(t *testing.T) {
			w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) {
				s.ConsoleConcurrency, s.DirectUploadBytes = 1, direct
			})
			file, more := io.Pipe()
			ended := make(chan error, 1)
			go func() {
				a, err := uploadStream(w, file)
				if err == nil && len(a.Errors) > 0 {
					err = fmt.Errorf("answered with %s", a.Body)
				}
				ended <- err
			}()
			if _, err := more.Write([]byte("first")); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), e2e.Timeout)
				if a, err := w.AskContext(ctx, `{ robots { totalCount } }`, e2e.Request{}); err != nil || len(a.Errors) > 0 {
					t.Errorf("beside an upload, a query is answered with %s, %v", a.Body, err)
				}
				cancel()
			}
			if _, err := more.Write([]byte("last")); err != nil {
				t.Fatal(err)
			}
			_ = more.Close()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSlowUploadsHoldNoMemoryOfAnswers verifies that uploads of one caller, whose documents are
// long and whose clients stop, leave the memory of large answers to others.
func TestSlowUploadsHoldNoMemoryOfAnswers(t *testing.T) {
	t.Parallel()
	const uploads, fields, size = 4, 300, 1 << 20
	sent := make(chan struct{}, uploads)
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) {
		s.OperationTimeout = 10 * time.Second // less than the pause after which an upload is refused
	}, e2e.Proxy(t, func(r *http.Request) {
		if r.Method == http.MethodPut {
			sent <- struct{}{}
		}
	}, func(_ *http.Request, body string) string { return body }))
	aliased := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "a%0100d: id ", i)
		}
		return b.String()
	}
	query := strings.Replace(e2e.SizedUploadQuery(fmt.Sprint(size)), "package { id name }", "package { id name "+aliased(fields)+"}", 1)
	ended := make(chan e2e.Answer, uploads)
	for range uploads {
		file, more := io.Pipe()
		go func() {
			a, err := w.UploadChunked(query, file)
			_ = file.CloseWithError(err) // ends the write below
			ended <- a
		}()
		defer func() {
			_, _ = more.Write(make([]byte, size)) // the answer tells the reason of a failure
			_ = more.Close()
			if a := <-ended; len(a.Errors) > 0 || len(a.Data) == 0 {
				t.Errorf("an upload is answered %d: %.500s", a.Status, a.Body)
			}
		}()
	}
	for range uploads {
		select {
		case <-sent:
		case a := <-ended:
			t.Fatalf("an upload is answered %d: %.500s", a.Status, a.Body)
		}
	}
	owner, _ := w.Sim.DefaultUser()
	a := w.Ask("{ workflows(first: 100) { nodes { "+aliased(fields)+"} } }", e2e.Request{Header: w.TokenHeader(owner)})
	if len(a.Errors) > 0 || len(a.Data) < 3<<19 {
		t.Errorf("a list of another caller is answered %d with %d bytes: %v", a.Status, len(a.Data), a.Errors)
	}
}
