package audit_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/schema"
	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/audit"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/logqueue"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
)

// sink keeps lines. It can stall.
type sink struct {
	stalled chan struct{} // nil: it does not stall

	mu    sync.Mutex
	lines []map[string]any
}

func (s *sink) Write(p []byte) (int, error) {
	if s.stalled != nil {
		<-s.stalled
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for text := range strings.Lines(string(p)) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			return 0, err
		}
		s.lines = append(s.lines, line)
	}
	return len(p), nil
}

func (s *sink) WriteThrough(p []byte, _ time.Duration) { _, _ = s.Write(p) }

// counts returns the refusals of each line.
func (s *sink) counts() []float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []float64
	for _, l := range s.lines {
		n, _ := l["refusals"].(float64)
		all = append(all, n)
	}
	return all
}

// TestRefusals verifies that an actor has one line per second, and that all refusals are counted.
func TestRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		l := audit.New(audit.Options{Sink: s, Hash: func(string) string { return "hash" }})
		one := principal.NewContext(t.Context(), principal.ForAccount("a", nil).WithKey("one"))
		two := principal.NewContext(t.Context(), principal.ForAccount("a", nil).WithKey("two"))
		refuse := func(n int) {
			for range n {
				l.Refused(one, fault.Unauthenticated)
			}
		}
		check := func(want ...float64) {
			t.Helper()
			synctest.Wait()
			if got := s.counts(); !slices.Equal(got, want) {
				t.Errorf("refusals by line are %v, want %v", got, want)
			}
		}
		refuse(5)
		l.Refused(two, fault.Forbidden)
		check(1, 1)
		time.Sleep(time.Second)
		check(1, 1, 4)
		refuse(2)
		check(1, 1, 4)
		time.Sleep(time.Second)
		check(1, 1, 4, 2)
		time.Sleep(2 * time.Second)
		refuse(3)
		check(1, 1, 4, 2, 1)
		l.Close()
		check(1, 1, 4, 2, 1, 2)
	})
}

// TestRefusalsByTransport verifies that refusals of one actor are counted by the way of the requests.
func TestRefusalsByTransport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		l := audit.New(audit.Options{Sink: s, Hash: func(string) string { return "hash" }})
		graphql := principal.NewContext(t.Context(), principal.ForAccount("a", nil).WithKey("one"))
		agent := accesslog.Begin(&http.Request{}, http.Header{})
		agent.SetTransport("mcp")
		mcp := accesslog.NewContext(graphql, agent)
		for range 2 {
			l.Refused(graphql, fault.Forbidden)
			l.RefusedOperation(mcp, "deleteQueue", operation.Summary{Name: "DeleteQueue"}, fault.Forbidden)
			l.RefusedOperation(mcp, "deleteQueue", operation.Summary{Name: "DeleteQueue"}, fault.Forbidden)
		}
		l.Close()
		counts := make(map[string]float64)
		for _, line := range s.lines {
			via, _ := line["via"].(string)
			n, _ := line["refusals"].(float64)
			counts[via] += n
		}
		if len(s.lines) != 4 || counts[""] != 2 || counts["mcp"] != 4 {
			t.Errorf("%v in %v", counts, s.lines)
		}
	})
}

// TestStalledSink verifies that a change waits 50 ms at most, and that its line is counted as lost.
func TestStalledSink(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sink{stalled: make(chan struct{})}
		var lost atomic.Int64
		q := logqueue.New(s, logqueue.Options{Lines: 2, Wait: audit.WriteTimeout, Lost: func(n int) { lost.Add(int64(n)) }})
		l := audit.New(audit.Options{Sink: q, Hash: func(string) string { return "hash" }})
		for i, name := range []string{"one", "two", "three"} {
			begun := time.Now()
			l.Refused(principal.NewContext(t.Context(), principal.ForAccount("a", nil).WithKey(name)), fault.Forbidden)
			want := time.Duration(0)
			if i == 2 {
				want = 50 * time.Millisecond
			}
			if took := time.Since(begun); took != want || lost.Load() != int64(i/2) {
				t.Errorf("line %d took %v, and %d are lost", i, took, lost.Load())
			}
		}
		close(s.stalled)
		l.Close()
		if err := q.Close(t.Context()); err != nil || len(s.counts()) != 2 {
			t.Errorf("%v, %d lines", err, len(s.counts()))
		}
	})
}

// TestInputs verifies that only fields of harmless types are marked, and that each id that names a target is.
func TestInputs(t *testing.T) {
	t.Parallel()
	s, err := schema.Annotated()
	if err != nil {
		t.Fatal(err)
	}
	marked := 0
	for name, def := range s.Types {
		if def.Kind != ast.InputObject {
			continue
		}
		for _, f := range def.Fields {
			is := f.Directives.ForName(audit.Directive) != nil
			switch typ := f.Type.Name(); {
			case is && typ != "ID" && typ != "Int" && typ != "Boolean" && s.Types[typ].Kind != ast.Enum:
				t.Errorf("%s.%s of type %s may hold anything", name, f.Name, typ)
			case is:
				marked++
			case f.Type.Name() == "ID" && f.Type.NonNull && strings.HasSuffix(name, "Input"):
				t.Errorf("%s.%s is not marked", name, f.Name)
			}
		}
	}
	if len(audit.InputsOf(s)) == 0 || marked < 30 {
		t.Errorf("%d fields are marked", marked)
	}
	served, err := schema.Load()
	if err != nil {
		t.Fatal(err)
	}
	if served.Directives[audit.Directive] != nil || strings.Contains(schema.SDL(), "@"+audit.Directive) {
		t.Error("the directive is served")
	}
}

// TestNilLog verifies that a log may be off.
func TestNilLog(t *testing.T) {
	t.Parallel()
	var l *audit.Log
	l.Refused(t.Context(), fault.Forbidden)
	l.RecordUser(principal.FromToken("t"), "id")
	l.Close()
	c := audit.FromContext(t.Context())
	c.Sending()
	c.End(nil)
	if err := c.Refuse(http.ErrAbortHandler); err != http.ErrAbortHandler { //nolint:errorlint // the same
		t.Error(err)
	}
}
