package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
)

type (
	Named      struct{ ID, DepartmentID string }
	OnlyID     struct{ ID string }
	WalkedFlow struct {
		ID, Name, DepartmentID, CompanyID string
		Robots                            []Named
		Queue                             *Named
		Package                           *Named
		Version                           *OnlyID
		Department, Company               *OnlyID
	}
	WalkedFlows      struct{ Nodes []WalkedFlow }
	WalkedDepartment struct {
		ID, Name  string
		Workflows *WalkedFlows
	}
	WalkedCompany struct {
		ID, Name    string
		Departments []WalkedDepartment
	}
)

// CheckScopes fails the test if a call names an entity outside of the call's scope.
func (w *World) CheckScopes() {
	w.T.Helper()
	owner := make(map[string]string)
	data := w.Sim.Data()
	for _, c := range data.Companies() {
		for _, d := range data.Departments(c.ID) {
			for _, ids := range [][]string{data.PackageIDs(d.ID), data.QueueIDs(d.ID), data.RobotIDs(d.ID), data.WorkflowIDs(d.ID), data.LayoutIDs(d.ID)} {
				for _, id := range ids {
					owner[id] = d.ID
				}
			}
		}
	}
	for _, r := range w.Sim.Requests() {
		for id, department := range owner {
			if strings.Contains(r.Path+r.RawQuery, id) && r.DepartmentID != department {
				w.T.Errorf("%s %s?%s was asked in department %s", r.Method, r.Path, r.RawQuery, r.DepartmentID)
			}
		}
	}
}

// AnyData returns the data of every simulator with the same seed.
func AnyData(t *testing.T) *consolesim.Data {
	t.Helper()
	sim, err := consolesim.Start(context.Background(), consolesim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.Close(); err != nil {
		t.Fatal(err)
	}
	return sim.Data()
}
