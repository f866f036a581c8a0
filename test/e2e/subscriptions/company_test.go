package subscriptions

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestDepartmentEvents follows the robots and workflows of a company's departments.
func TestDepartmentEvents(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}))
	d := w.Sim.Data()
	company := d.MainCompanyID()
	departments := d.Departments(company)
	first, second := departments[1].ID, departments[2].ID
	s := w.Socket(nil)
	robot := d.RobotIDs(second)[0]
	w.Sim.SetRobotStatus(robot, "Ready")
	workflow := d.WorkflowIDs(first)[0]
	s.Subscribe("r", fmt.Sprintf(`subscription { robotEvents(departmentIds: [%q, %q]) { type id robot { status department { id } } } }`, first, strings.ToUpper(second)))
	s.Subscribe("w", fmt.Sprintf(`subscription { workflowEvents(companyId: %q, ids: [%q], initial: true) { type workflow { id } } }`, company, workflow))
	s.Subscribe("n", fmt.Sprintf(`subscription { robotEvents(departmentIds: [%q, %q], ids: [%q]) { type } }`, first, e2e.UnknownID, d.RobotIDs(first)[0]))
	want := map[string]string{
		"w": fmt.Sprintf(`{"workflowEvents":{"type":"SNAPSHOT","workflow":{"id":%q}}}`, workflow),
		"n": "null",
	}
	for range want {
		m := s.Receive()
		a := e2e.Decode[e2e.Answer](t, m.Payload)
		if string(a.Data) != want[m.ID] || m.ID == "n" && (len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "NOT_FOUND" || !strings.Contains(a.Errors[0].Message, e2e.UnknownID)) {
			t.Errorf("%s got %s", m.ID, m.Payload)
		}
	}
	s.Send(e2e.Message{ID: "w", Type: "complete"})
	s.Send(e2e.Message{ID: "n", Type: "complete"})
	w.AwaitPolls(2)
	w.Sim.SetRobotStatus(robot, "Busy")
	if a := s.Next("r"); string(a.Data) != fmt.Sprintf(`{"robotEvents":{"type":"UPDATED","id":%q,"robot":{"status":"BUSY","department":{"id":%q}}}}`, robot, second) {
		t.Errorf("got %s", a.Data)
	}
}

// TestRobotCountsChanged verifies that counts come first as they are, and then when they change.
func TestRobotCountsChanged(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}))
	d := w.Sim.Data()
	company := d.MainCompanyID()
	for _, dept := range d.Departments(company) {
		for _, id := range d.RobotIDs(dept.ID) {
			w.Sim.SetRobotStatus(id, "Ready")
		}
	}
	robots := d.RobotIDs(d.Departments(company)[1].ID)
	var now struct {
		Company struct{ RobotCounts json.RawMessage }
	}
	const selection = `{ total byStatus { status count } precision unavailable { code } asOf }`
	s := w.Socket(nil)
	type counts struct {
		RobotCountsChanged struct {
			Total       int
			AsOf        string
			ByStatus    []struct{ Count int }
			Precision   string
			Unavailable []struct{ Code string }
		}
	}
	s.Subscribe("c", fmt.Sprintf(`subscription { robotCountsChanged(companyId: %q) %s }`, company, selection))
	got := e2e.Decode[counts](t, s.Next("c").Data)
	w.Query(fmt.Sprintf(`{ company(id: %q) { robotCounts %s } }`, company, strings.Replace(selection, "asOf", "", 1)), &now)
	queried := e2e.Decode[struct {
		Total    int
		ByStatus []struct{ Count int }
	}](t, now.Company.RobotCounts)
	if got.RobotCountsChanged.Total != queried.Total || got.RobotCountsChanged.ByStatus[1] != queried.ByStatus[1] || queried.ByStatus[1].Count != queried.Total {
		t.Errorf("got %+v, queried %s", got, now.Company.RobotCounts)
	}
	for i, id := range robots[:2] { // two changes: no event in between
		w.Sim.SetRobotStatus(id, "Busy")
		if got := e2e.Decode[counts](t, s.Next("c").Data); got.RobotCountsChanged.ByStatus[2].Count != i+1 || got.RobotCountsChanged.Precision != "EXACT" || got.RobotCountsChanged.AsOf == "" {
			t.Errorf("got %+v", got)
		}
	}
	one := w.Socket(nil)
	one.Subscribe("o", `subscription { robotCountsChanged { total } }`)
	if got := e2e.Decode[counts](t, one.Next("o").Data); got.RobotCountsChanged.Total != len(d.RobotIDs(d.MainDepartmentID())) {
		t.Errorf("got %+v", got)
	}
}

// TestBadAreas verifies that bad departments and companies are refused.
func TestBadAreas(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, e2e.StoppedClock(consolesim.Options{}))
	id := w.Sim.Data().MainCompanyID()
	for field, code := range map[string]string{
		`robotEvents(departmentIds: []) { type }`:                                          "BAD_USER_INPUT",
		`robotEvents(departmentIds: ["x"]) { type }`:                                       "BAD_USER_INPUT",
		`robotEvents(companyId: "x") { type }`:                                             "BAD_USER_INPUT",
		fmt.Sprintf(`robotEvents(companyId: %q, queueId: %q) { type }`, id, id):            "BAD_USER_INPUT",
		fmt.Sprintf(`workflowEvents(companyId: %q) { type }`, e2e.UnknownID):               "NOT_FOUND",
		`robotCountsChanged(departmentIds: []) { total }`:                                  "BAD_USER_INPUT",
		fmt.Sprintf(`robotCountsChanged(departmentIds: [%q]) { total }`, e2e.UnknownID):    "NOT_FOUND",
		fmt.Sprintf(`robotEvents(companyId: %q, ids: [%q]) { type }`, id, e2e.UnknownID):   "NOT_FOUND",
		`workflowEvents(departmentIds: [` + strings.Repeat(`"`+id+`" `, 501) + `]) { id }`: "BAD_USER_INPUT",
	} {
		s := w.Socket(nil)
		s.Subscribe("a", "subscription { "+field+" }")
		if a := s.Next("a"); len(a.Errors) != 1 || a.Errors[0].Extensions.Code != code {
			t.Errorf("%.60s: %s", field, a.Body)
		}
	}
}
