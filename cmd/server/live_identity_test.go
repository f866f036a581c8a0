package main

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// TestLiveChangesOfPrincipals follows robots by every kind of credential that the
// gateway itself gives out, over both transports, within its limits and to its end.
func TestLiveChangesOfPrincipals(t *testing.T) {
	var key, reader map[string]string
	w := newWorld(t, consolesim.Options{}, strict, noDefault, func(s *settings, sim *consolesim.Server) {
		k := &keyring{t: t}
		d := sim.Data()
		k.account("owner", d.Users()[0])
		key = k.key("key", "owner", fmt.Sprintf(", scopes: [{companyId: %s, departmentIds: [%s]}]", d.MainCompanyID(), d.MainDepartmentID()))
		reader = k.key("reader", "owner", ", operations: [query]")
		s.APIKeysFile = k.write()
	})
	d := w.sim.Data()
	solo := d.SoloUser()
	home := in(solo.CompanyIDs[0], solo.Assigned[solo.CompanyIDs[0]])
	session := w.signIn(solo)
	robot := func(department string) string {
		return fmt.Sprintf(`subscription { robotChanged(ids: [%q]) { id } }`, d.RobotIDs(department)[0])
	}
	mine := robot(solo.Assigned[solo.CompanyIDs[0]])
	stirring, rest := context.WithCancel(t.Context())
	var stirred sync.WaitGroup
	stirred.Go(func() { // a robot that is left alone changes every 15 seconds
		stir(stirring, w.sim, [2]*side{{dept: solo.Assigned[solo.CompanyIDs[0]]}, {dept: d.MainDepartmentID()}})
	})
	defer stirred.Wait()
	defer rest()

	t.Run("a session over events", func(t *testing.T) {
		e := w.events("GET", mine, with(session, home))
		defer e.close()
		if a := e.answer(); len(a.Errors) > 0 {
			t.Errorf("answered %s", a.Body)
		}
	})
	t.Run("a key over a WebSocket, in its only scope", func(t *testing.T) {
		s := w.socket(key)
		s.subscribe("1", robot(d.MainDepartmentID()))
		if a := s.next("1"); len(a.Errors) > 0 {
			t.Errorf("answered %s", a.Body)
		}
		s.send(message{ID: "1", Type: "complete"})
		await(t, "the end of the polls", func() bool { return w.metric("consoleql_watched_things") == "0" })
	})
	t.Run("a key outside its scope", func(t *testing.T) {
		e := w.events("GET", robot(d.Departments(d.MainCompanyID())[2].ID), with(key, in(d.MainCompanyID(), d.Departments(d.MainCompanyID())[2].ID)))
		defer e.close()
		if got := w.onlyError(e.answer()); got.Extensions.Code != "FORBIDDEN" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a key for queries only", func(t *testing.T) {
		w.sim.ResetCounts()
		e := w.events("GET", robot(d.MainDepartmentID()), with(reader, in(d.MainCompanyID(), d.MainDepartmentID())))
		defer e.close()
		if got := w.onlyError(e.answer()); got.Extensions.Code != "FORBIDDEN" {
			t.Errorf("%+v", got)
		}
		w.noCalls()
	})
	t.Run("ends with its session", func(t *testing.T) {
		s := w.socket(with(session, home))
		s.subscribe("1", mine)
		if a := s.next("1"); len(a.Errors) > 0 {
			t.Fatalf("answered %s", a.Body)
		}
		if a := w.ask(`mutation { signOut { ok } }`, request{header: session}); len(a.Errors) > 0 {
			t.Fatalf("answered %s", a.Body)
		}
		for deadline := time.Now().Add(patience); ; {
			a := s.next("1")
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
