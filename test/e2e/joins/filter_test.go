package joins

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestFiltersReachConsole verifies that every filter field of every list is sent under its
// documented name, and that an absent field is not sent.
func TestFiltersReachConsole(t *testing.T) {
	t.Parallel()
	const text, guid, moment = "Ünïcode & 100% +? 流程", "0f0f0f0f-0000-4000-8000-0123456789ab", "2024-03-04T05:06:07.008Z"
	entity := map[string]string{"name": text, "searchString": text, "associatedQueueId": guid, "packageId": guid, "packageVersionId": guid}
	w := e2e.NewWorld(t, consolesim.Options{})
	for list, fields := range map[string]map[string]string{
		"packages":        {"name": text, "searchString": text, "startTime": moment, "endTime": moment},
		"queues":          entity,
		"robots":          entity,
		"workflows":       entity,
		"workflowLayouts": {"name": text, "searchString": text},
	} {
		all, wanted := map[string]any{}, url.Values{}
		query := fmt.Sprintf(`query($f: %s) { %s(filter: $f) { nodes { id } } }`, e2e.FilterOf(list), list)
		for field, value := range fields {
			parameter := strings.ToUpper(field[:1]) + field[1:]
			all[field] = value
			wanted.Set(parameter, value)
			t.Run(list+" "+field, func(t *testing.T) {
				w.Sim.ResetCounts()
				if a := w.Ask(query, e2e.Request{Variables: map[string]any{"f": map[string]any{field: value}}}); len(a.Errors) > 0 {
					t.Fatalf("answered %s", a.Body)
				}
				if diff := cmp.Diff(url.Values{parameter: {value}}, w.SentQuery(e2e.ListOperations[list])); diff != "" {
					t.Errorf("parameters, - want + sent:\n%s", diff)
				}
			})
		}
		t.Run(list+" all", func(t *testing.T) {
			w.Sim.ResetCounts()
			if a := w.Ask(query, e2e.Request{Variables: map[string]any{"f": all}}); len(a.Errors) > 0 {
				t.Fatalf("answered %s", a.Body)
			}
			if diff := cmp.Diff(wanted, w.SentQuery(e2e.ListOperations[list])); diff != "" {
				t.Errorf("parameters, - want + sent:\n%s", diff)
			}
		})
		for order, want := range map[string]url.Values{"": {}, "(order: DESC)": {}, "(order: ASC)": {"IsDesc": {"false"}}, "(first: 3, offset: 3)": {}} {
			t.Run(list+" "+order, func(t *testing.T) {
				w.Sim.ResetCounts()
				w.Query(fmt.Sprintf(`{ %s%s { nodes { id } } }`, list, order), nil)
				if diff := cmp.Diff(want, w.SentQuery(e2e.ListOperations[list])); diff != "" {
					t.Errorf("parameters, - want + sent:\n%s", diff)
				}
			})
		}
	}
	t.Run("companies", func(t *testing.T) {
		w.Sim.ResetCounts()
		if a := w.Ask(`query($n: String) { companies(name: $n) { id } }`, e2e.Request{Variables: map[string]any{"n": text}}); len(a.Errors) > 0 {
			t.Fatalf("answered %s", a.Body)
		}
		if diff := cmp.Diff(url.Values{"Name": {text}}, w.SentQuery(e2e.Companies)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("versions are asked for where they are selected", func(t *testing.T) {
		for query, want := range map[string]url.Values{
			`{ packages { nodes { id } } }`:                                             {},
			`{ packages { nodes { versions { id } } } }`:                                {"IncludeVersions": {"true"}},
			`{ packages { edges { node { latestVersion { id } } } } }`:                  {"IncludeVersions": {"true"}},
			`{ packages { nodes { ...V } } } fragment V on Package { versions { id } }`: {"IncludeVersions": {"true"}},
			`{ packages { nodes { id versions @skip(if: true) { id } } } }`:             {},
			`{ packages { totalCount } }`:                                               {},
		} {
			w.Sim.ResetCounts()
			w.Query(query, nil)
			if diff := cmp.Diff(want, w.SentQuery(e2e.Packages)); diff != "" {
				t.Errorf("%s: %s", query, diff)
			}
		}
	})
}

// TestTimesAreSentInUTC uses times with an offset (RFC 3339).
func TestTimesAreSentInUTC(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	w.Query(`{ packages(filter: {startTime: "2024-03-04T05:06:07+08:00"}) { totalCount } }`, nil)
	if diff := cmp.Diff(url.Values{"StartTime": {"2024-03-03T21:06:07Z"}}, w.SentQuery(e2e.Packages)); diff != "" {
		t.Error(diff)
	}
}

// TestImpliedFilters combines a list's filter with its parent's. No call is made if they
// exclude each other.
func TestImpliedFilters(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	f, _ := w.Sim.Data().Workflow(w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0])
	for query, want := range map[string]struct {
		operation string
		values    url.Values
	}{
		`{ queue(id: "$q") { robots(filter: {name: "x", associatedQueueId: "$other"}) { totalCount } } }`:              {e2e.Robots, nil},
		`{ queue(id: "$q") { robots(filter: {name: "x", associatedQueueId: "$q"}) { totalCount } } }`:                  {e2e.Robots, url.Values{"Name": {"x"}, "AssociatedQueueId": {"$q"}}},
		`{ queue(id: "$q") { workflows(filter: {packageId: "$other"}, order: ASC) { totalCount } } }`:                  {e2e.Workflows, url.Values{"PackageId": {"$other"}, "AssociatedQueueId": {"$q"}, "IsDesc": {"false"}}},
		`{ package(id: "$p") { workflows(filter: {packageId: "$other", searchString: "y"}) { nodes { name } } } }`:     {e2e.Workflows, nil},
		`{ package(id: "$p") { workflows(filter: {searchString: "y"}) { nodes { name } } } }`:                          {e2e.Workflows, url.Values{"PackageId": {"$p"}, "SearchString": {"y"}}},
		`{ package(id: "$p") { workflows { totalCount } } }`:                                                           {e2e.Workflows, url.Values{"PackageId": {"$p"}}},
		`{ workflow(id: "$w") { version { workflows(filter: {packageVersionId: "$other"}) { nodes { id name } } } } }`: {e2e.Workflows, nil},
		`{ workflow(id: "$w") { version { workflows { nodes { id name } } } } }`:                                       {e2e.Workflows, url.Values{"PackageVersionId": {"$v"}}},
	} {
		t.Run(query, func(t *testing.T) {
			w.Sim.ResetCounts()
			ids := strings.NewReplacer("$q", f.QueueID, "$p", f.PackageID, "$v", f.PackageVersionID, "$w", f.ID, "$other", e2e.UnknownID)
			w.Query(ids.Replace(query), nil)
			for _, r := range w.Sim.Requests() {
				if r.Operation != want.operation {
					continue
				}
				got, err := url.ParseQuery(r.RawQuery)
				if err != nil {
					t.Fatal(err)
				}
				got.Del("PageIndex")
				got.Del("PageSize")
				for name, values := range want.values {
					want.values[name] = []string{ids.Replace(values[0])}
				}
				if diff := cmp.Diff(want.values, got); diff != "" {
					t.Errorf("parameters, - want + sent:\n%s", diff)
				}
				return
			}
			if want.values != nil {
				t.Errorf("no call of %s: %v", want.operation, w.Calls())
			}
		})
	}
}

// TestOrderIsByCreation compares both orders with the data.
func TestOrderIsByCreation(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{PageClamp: 10})
	d := w.Sim.Data()
	for list, newest := range map[string][]string{
		"packages": d.PackageIDs(d.MainDepartmentID()), "queues": d.QueueIDs(d.MainDepartmentID()), "robots": d.RobotIDs(d.MainDepartmentID()),
		"workflows": d.WorkflowIDs(d.MainDepartmentID()), "workflowLayouts": d.LayoutIDs(d.MainDepartmentID()),
	} {
		var got struct {
			Desc, Asc struct{ Nodes []struct{ ID string } }
		}
		w.Query(fmt.Sprintf(`{ desc: %s(first: 500) { nodes { id } } asc: %s(first: 500, order: ASC) { nodes { id } } }`, list, list), &got)
		for i, id := range newest {
			if len(got.Desc.Nodes) != len(newest) || len(got.Asc.Nodes) != len(newest) {
				t.Fatalf("%s: %d and %d nodes, want %d", list, len(got.Desc.Nodes), len(got.Asc.Nodes), len(newest))
			}
			if got.Desc.Nodes[i].ID != id || got.Asc.Nodes[len(newest)-1-i].ID != id {
				t.Errorf("%s: out of order at %d", list, i)
			}
		}
	}
}
