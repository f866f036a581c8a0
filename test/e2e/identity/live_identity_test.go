package identity

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestPrincipalEvents subscribes to robots with every kind of credential that the
// gateway manages, over both transports. It verifies limits and the end of the credentials.
func TestPrincipalEvents(t *testing.T) {
	t.Parallel()
	var key, reader map[string]string
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous, e2e.WithoutDefaultScope, func(s *gateway.Settings, sim *consolesim.Server) {
		k := &e2e.Keyring{T: t}
		d := sim.Data()
		k.Account("owner", d.Users()[0])
		key = k.Key("key", "owner", fmt.Sprintf(", scopes: [{companyId: %s, departmentIds: [%s]}]", d.MainCompanyID(), d.MainDepartmentID()))
		reader = k.Key("reader", "owner", ", operations: [query]")
		s.APIKeysFile = k.Write()
	})
	d := w.Sim.Data()
	solo := d.SoloUser()
	home := e2e.ScopeHeader(solo.CompanyIDs[0], solo.Assigned[solo.CompanyIDs[0]])
	session := w.SignIn(solo)
	robot := func(department string) string {
		return fmt.Sprintf(`subscription { robotChanged(ids: [%q]) { id } }`, d.RobotIDs(department)[0])
	}
	mine := robot(solo.Assigned[solo.CompanyIDs[0]])
	stirring, rest := context.WithCancel(t.Context())
	var stirred sync.WaitGroup
	stirred.Go(func() { // otherwise a robot changes every 15 seconds
		changeRobots(stirring, w.Sim, [2]*side{{dept: solo.Assigned[solo.CompanyIDs[0]]}, {dept: d.MainDepartmentID()}})
	})
	defer stirred.Wait()
	defer rest()

	t.Run("a session over events", func(t *testing.T) {
		e := w.Events("GET", mine, e2e.MergeHeaders(session, home))
		defer e.Close()
		if a := e.Answer(); len(a.Errors) > 0 {
			t.Errorf("answered %s", a.Body)
		}
	})
	t.Run("a key over a WebSocket, in its only scope", func(t *testing.T) {
		s := w.Socket(key)
		s.Subscribe("1", robot(d.MainDepartmentID()))
		if a := s.Next("1"); len(a.Errors) > 0 {
			t.Errorf("answered %s", a.Body)
		}
		s.Send(e2e.Message{ID: "1", Type: "complete"})
		e2e.Await(t, "the end of the polls", func() bool { return w.Metric("consoleql_watched_things") == "0" })
	})
	t.Run("a key outside its scope", func(t *testing.T) {
		e := w.Events("GET", robot(d.Departments(d.MainCompanyID())[2].ID), e2e.MergeHeaders(key, e2e.ScopeHeader(d.MainCompanyID(), d.Departments(d.MainCompanyID())[2].ID)))
		defer e.Close()
		if got := w.OnlyError(e.Answer()); got.Extensions.Code != "FORBIDDEN" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a key for queries only", func(t *testing.T) {
		w.Sim.ResetCounts()
		e := w.Events("GET", robot(d.MainDepartmentID()), e2e.MergeHeaders(reader, e2e.ScopeHeader(d.MainCompanyID(), d.MainDepartmentID())))
		defer e.Close()
		if got := w.OnlyError(e.Answer()); got.Extensions.Code != "FORBIDDEN" {
			t.Errorf("%+v", got)
		}
		w.CheckNoCalls()
	})
	t.Run("ends with its session", func(t *testing.T) {
		s := w.Socket(e2e.MergeHeaders(session, home))
		s.Subscribe("1", mine)
		if a := s.Next("1"); len(a.Errors) > 0 {
			t.Fatalf("answered %s", a.Body)
		}
		if a := w.Ask(`mutation { signOut { ok } }`, e2e.Request{Header: session}); len(a.Errors) > 0 {
			t.Fatalf("answered %s", a.Body)
		}
		for deadline := time.Now().Add(e2e.Timeout); ; {
			a := s.Next("1")
			if len(a.Errors) > 0 {
				if a.Errors[0].Extensions.Code != "UNAUTHENTICATED" {
					t.Errorf("answered %s", a.Body)
				}
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("the subscription outlives its session")
			}
		}
	})
}
