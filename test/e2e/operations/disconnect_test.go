package operations

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestSubscriptionWithoutEvent verifies that the access log names a subscription that ends before its first event.
func TestSubscriptionWithoutEvent(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	s := w.Socket(nil)
	s.Subscribe("1", `subscription Quiet { robotEvents { type robot { id } } }`)
	e2e.Await(t, "the subscription", func() bool { return w.Metric("consoleql_subscriptions") == "1" })
	s.Send(e2e.Message{Type: "complete", ID: "1"})
	line := accessLines(t, w, 1, func(l accessLine) bool { return l.Connection != "" })[0]
	if line.Type != "subscription" || line.Name != "Quiet" || line.Document == "" {
		t.Errorf("the line is %+v", line)
	}
}

// TestClientDisconnectsDuringMutation verifies that the audit log does not blame the gateway for a client that leaves.
func TestClientDisconnectsDuringMutation(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	queue := w.Sim.Data().QueueIDs(w.Sim.Data().MainDepartmentID())[0]
	w.Sim.Fail(e2e.ForPath("/openapi/queues/"+queue), consolesim.Fault{Delay: 2 * time.Second})
	ctx, leave := context.WithCancel(t.Context())
	var left sync.WaitGroup
	left.Go(func() {
		_, _ = w.AskContext(ctx, `mutation($id: ID!) { updateQueue(input: {id: $id, name: "n"}) { queue { id } } }`, e2e.Request{Variables: map[string]any{"id": queue}})
	})
	defer left.Wait()
	defer leave()
	e2e.Await(t, "the change at the console", func() bool { return len(w.Sim.Requests()) > 0 })
	leave()
	line := awaitAudit(t, w.Logs, 1, func(l auditLine) bool { return l.Phase == "done" && l.Mutation == "updateQueue" })[0]
	if line.Outcome != "UNKNOWN" || line.Code == "INTERNAL" {
		t.Errorf("outcome %s, code %s", line.Outcome, line.Code)
	}
}

// TestRevocationDespiteBadPassword verifies that a key is revoked while a password file cannot be used, and that the
// accounts go on.
func TestRevocationDespiteBadPassword(t *testing.T) {
	t.Parallel()
	k := &e2e.Keyring{T: t}
	password := filepath.Join(t.TempDir(), "password")
	var path string
	var stays, goes map[string]string
	w := e2e.NewWorld(t, consolesim.Options{TokenLifetime: 2 * time.Second}, func(s *gateway.Settings, _ *consolesim.Server) {
		if err := os.WriteFile(password, []byte(s.Password), 0o600); err != nil {
			t.Fatal(err)
		}
		s.Password, s.PasswordFile = "", password
		stays = k.Key("stays", "default", "")
		cached := k.Keys
		goes = k.Key("goes", "default", "")
		path = k.Write()
		k.Keys = cached
		s.APIKeysFile, s.Anonymous = path, false
	})
	ask := func(header map[string]string) e2e.Answer {
		return w.Ask(`{ viewer { userName } }`, e2e.Request{Header: header})
	}
	if a := ask(goes); len(a.Errors) > 0 {
		t.Fatalf("%+v", a.Errors)
	}
	if err := os.WriteFile(password, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(readFile(t, k.Write())), 0o600); err != nil {
		t.Fatal(err)
	}
	e2e.Await(t, "the revocation", func() bool { return ask(goes).Status == 401 })
	if a := ask(stays); len(a.Errors) > 0 {
		t.Errorf("%+v", a.Errors)
	}
}
