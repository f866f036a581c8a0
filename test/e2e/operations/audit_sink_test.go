package operations

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestStalledAuditSink verifies that changes are made while nobody reads the audit log, that lost lines are counted,
// and that lines are written again afterwards.
func TestStalledAuditSink(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(path, os.O_RDWR, 0) // the gateway's writes fill the pipe's buffer, and then stall
	if err != nil {
		t.Fatal(err)
	}
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.AuditLog = path })
	queue := w.Sim.Data().QueueIDs(w.Sim.Data().MainDepartmentID())[0]
	const fields = 50
	var document strings.Builder
	for i := range fields {
		fmt.Fprintf(&document, "m%d: updateQueue(input: {id: %q, name: \"n%d\"}) { queue { id } }\n", i, queue, i)
	}
	const lost = "consoleql_audit_lines_lost_total"
	made := 0
	for w.Metric(lost) == "0" {
		if made += fields; made > 10_000 {
			t.Fatal("no line is lost")
		}
		if a := w.Ask("mutation {\n"+document.String()+"}", e2e.Request{}); a.Status != 200 || len(a.Errors) > 0 {
			t.Fatalf("%d: %s", a.Status, a.Body)
		}
	}
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := pipe.Close(); err != nil {
		t.Error(err)
	}
	lines := make(chan int)
	go func() {
		defer reader.Close()
		var all bytes.Buffer
		_, _ = io.Copy(&all, reader) // until the gateway closes the file
		lines <- len(auditLines(all.String(), func(l auditLine) bool { return l.Mutation == "updateQueue" && l.Outcome == "DONE" }))
	}()
	e2e.Await(t, "a line after the reader is back", func() bool {
		before := w.Metric(lost)
		w.Ask("mutation { "+strings.SplitN(document.String(), "\n", 2)[0]+" }", e2e.Request{})
		made++
		return w.Metric(lost) == before
	})
	gone, err := strconv.Atoi(w.Metric(lost))
	if err != nil {
		t.Fatal(err)
	}
	w.Stop()
	if err := w.Stopped(); err != nil {
		t.Error(err)
	}
	if written := <-lines; written+gone != made || gone == 0 {
		t.Errorf("%d lines are written and %d lost, of %d", written, gone, made)
	}
}

// TestWebSocketAudit verifies that the audit log and the metrics have WebSockets with refused credentials, and
// operations with a key that was revoked.
func TestWebSocketAudit(t *testing.T) {
	t.Parallel()
	k := &e2e.Keyring{T: t}
	var path string
	var header map[string]string
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, sim *consolesim.Server) {
		k.Account("solo", sim.Data().SoloUser())
		k.Key("stays", "solo", "")
		cached := k.Keys
		header = k.Key("goes", "solo", "")
		path = k.Write()
		k.Keys = cached
		s.APIKeysFile, s.Anonymous = path, false
	})
	refused := func(n int) {
		t.Helper()
		awaitAudit(t, w.Logs, n, func(l auditLine) bool {
			return l.Mutation == "" && l.Outcome == "NOT_SENT" && l.Code == "UNAUTHENTICATED" && l.RequestID != ""
		})
	}
	s := w.Connect(nil)
	s.Send(e2e.Message{Type: "connection_init", Payload: e2e.Encode(t, map[string]string{"X-Api-Key": "not to be seen"})})
	if code, _ := s.ClosedWith(); code != 4401 {
		t.Errorf("closed with %d", code)
	}
	refused(1)
	e2e.Await(t, "that one refusal is counted", func() bool {
		return strings.Contains(w.Metrics(), `consoleql_operation_errors_total{client="anonymous",code="UNAUTHENTICATED",type=""} 1`+"\n")
	})

	s = w.Socket(header)
	if err := os.WriteFile(path, []byte(readFile(t, k.Write())), 0o600); err != nil {
		t.Fatal(err)
	}
	e2e.Await(t, "the key is revoked", func() bool {
		return w.Ask(`{ viewer { name } }`, e2e.Request{Header: header}).Status == 401
	})
	s.Subscribe("late", `mutation { createPackageUpload { upload { id } } }`)
	if m := s.Receive(); !strings.Contains(string(m.Payload), "UNAUTHENTICATED") {
		t.Errorf("answered %+v", m)
	}
	e2e.Await(t, "the line", func() bool {
		n := 0
		for _, l := range auditLines(w.Logs.String(), func(l auditLine) bool { return l.Code == "UNAUTHENTICATED" && l.Actor.APIKey == "goes" }) {
			n += l.Refusals
		}
		return n == 1
	})
	if strings.Contains(w.Logs.String(), "not to be seen") {
		t.Error("the log has the key")
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
