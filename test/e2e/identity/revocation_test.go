package identity

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestRevokedKey verifies that a key that is removed or expires ends with its subscriptions, and that another key keeps
// its subscription and its cached answers. A key that gets an end is a changed key, whose subscriptions end at once. A
// broken file changes nothing.
func TestRevokedKey(t *testing.T) {
	t.Parallel()
	const following = `subscription { robotEvents(initial: true) { type id robot { status } } }`
	for name, end := range map[string]func(t *testing.T, path, text, removed string){
		"removed": func(t *testing.T, path, text, removed string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(strings.Replace(text, removed, "", 1)), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"expires": func(t *testing.T, path, text, removed string) {
			t.Helper()
			soon := strings.Replace(removed, "}", fmt.Sprintf(", expires: %q}", time.Now().Add(4*time.Second).Format(time.RFC3339Nano)), 1)
			if err := os.WriteFile(path, []byte(strings.Replace(text, removed, soon, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var path, removed string
			var leaked, cached map[string]string
			w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache, func(s *gateway.Settings, sim *consolesim.Server) {
				k := &e2e.Keyring{T: t}
				k.Account("dash", consolesim.User{Username: s.Username, Password: s.Password})
				cached = k.Key("kept", "dash", "")
				before := k.Keys
				leaked = k.Key("leaked", "dash", "")
				removed = strings.TrimPrefix(k.Keys, before)
				path = k.Write()
				s.APIKeysFile = path
				s.CacheLife = gateway.DurationsByKind{"workflows": time.Hour}
			})
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if a := w.Ask(e2e.ListQuery, e2e.Request{Header: cached}); len(a.Errors) > 0 {
				t.Fatalf("answered %s", a.Body)
			}
			streams := map[string]*e2e.EventSource{"leaked": w.Events("GET", following, leaked), "kept": w.Events("GET", following, cached)}
			socket := w.Socket(leaked)
			socket.Subscribe("1", following)
			for who, stream := range streams {
				if a := stream.Answer(); len(a.Errors) > 0 {
					t.Fatalf("%s: %s", who, a.Body)
				}
			}
			if err := os.WriteFile(path, []byte("keys: ["), 0o600); err != nil {
				t.Fatal(err)
			}
			e2e.Await(t, "the refusal of the broken file", func() bool { return strings.Contains(w.Logs.String(), "a changed file cannot be used") })
			if a := w.Ask(e2e.ListQuery, e2e.Request{Header: leaked}); len(a.Errors) > 0 {
				t.Errorf("with a broken file: %s", a.Body)
			}
			end(t, path, string(text), removed)
			for {
				if a := streams["leaked"].Answer(); len(a.Errors) > 0 {
					if a.Errors[0].Extensions.Code != "UNAUTHENTICATED" {
						t.Errorf("the event stream ends with %s", a.Body)
					}
					break
				}
			}
			for {
				m := socket.Receive()
				if m.Type == "complete" {
					t.Error("the WebSocket's subscription ends without an error")
				}
				if m.Type == "error" || strings.Contains(string(m.Payload), "UNAUTHENTICATED") {
					break
				}
			}
			e2e.Await(t, "the end of the key", func() bool {
				a := w.Ask(e2e.ListQuery, e2e.Request{Header: leaked})
				return len(a.Errors) == 1 && a.Errors[0].Extensions.Code == "UNAUTHENTICATED"
			})
			calls := w.CallsOf(func() {
				if a := w.Ask(e2e.ListQuery, e2e.Request{Header: cached}); len(a.Errors) > 0 {
					t.Errorf("the other key is answered %s", a.Body)
				}
			})
			if n := calls[e2e.Workflows]; n != 0 {
				t.Errorf("%d calls for what the other key was answered before", n)
			}
			robot := w.Sim.Data().RobotIDs(w.Sim.Data().MainDepartmentID())[0]
			for _, status := range []string{"Busy", "Ready"} { // one of them is a change
				w.Sim.SetRobotStatus(robot, status)
			}
			for {
				a := streams["kept"].Answer()
				if len(a.Errors) > 0 {
					t.Fatalf("the other key's event stream: %s", a.Body)
				}
				if strings.Contains(string(a.Body), "UPDATED") {
					break
				}
			}
		})
	}
}

// TestKeyExpiresDuringSubscription verifies that a subscription ends with its key.
func TestKeyExpiresDuringSubscription(t *testing.T) {
	t.Parallel()
	var key map[string]string
	end := time.Now().Add(8 * time.Second)
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) {
		k := &e2e.Keyring{T: t}
		k.Account("dash", consolesim.User{Username: s.Username, Password: s.Password})
		key = k.Key("short", "dash", fmt.Sprintf(", expires: %q", end.Format(time.RFC3339Nano)))
		s.APIKeysFile = k.Write()
	})
	stream := w.Events("GET", `subscription { workflowEvents(ids: ["`+w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]+`"], initial: true) { type id } }`, key)
	for {
		a := stream.Answer()
		if len(a.Errors) == 0 {
			continue
		}
		if a.Errors[0].Extensions.Code != "UNAUTHENTICATED" || time.Now().Before(end) {
			t.Errorf("ended with %s", a.Body)
		}
		break
	}
	if text := w.Logs.String(); !strings.Contains(text, `"msg":"API keys have expired or expire within a week","keys":["short"]`) {
		t.Errorf("no warning in\n%s", text)
	}
}
