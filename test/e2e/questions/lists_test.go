package questions

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// idsOf returns the ids of a list, its total count, and whether it goes on.
func idsOf(t *testing.T, w *e2e.World, field, arguments string) (ids []string, total int, more bool) {
	t.Helper()
	var got map[string]struct {
		TotalCount int
		Nodes      []struct{ ID string }
		PageInfo   struct{ HasNextPage bool }
	}
	w.Query(fmt.Sprintf(`{ %s%s { totalCount nodes { id } pageInfo { hasNextPage } } }`, field, arguments), &got)
	for _, n := range got[field].Nodes {
		ids = append(ids, n.ID)
	}
	return ids, got[field].TotalCount, got[field].PageInfo.HasNextPage
}

// quoted writes ids as a list of GraphQL.
func quoted(ids ...string) string { return fmt.Sprintf("[%s]", strings.Join(quoteAll(ids), ", ")) }

func quoteAll(ids []string) []string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = fmt.Sprintf("%q", id)
	}
	return all
}

// TestConditions compares filters that the gateway applies with the data, and counts the calls.
func TestConditions(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	d := w.Sim.Data()
	dept := d.MainDepartmentID()
	robots, workflows, packages, queues := d.RobotIDs(dept), d.WorkflowIDs(dept), d.PackageIDs(dept), d.QueueIDs(dept)
	for i, id := range robots {
		w.Sim.SetRobotStatus(id, []string{"Ready", "Busy", "Disconnected"}[i%3])
	}
	keep := func(ids []string, test func(id string) bool) []string {
		return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !test(id) })
	}
	used := map[string]bool{}
	for _, id := range workflows {
		v, _ := d.Workflow(id)
		used[v.PackageID] = true
	}
	first, _ := d.Workflow(workflows[0])
	tag := first.Tags[0]
	calls := func(counts e2e.Counts) e2e.Counts { return counts }
	inQueue := func(id string) bool { v, _ := d.Robot(id); return len(v.QueueIDs) > 0 }
	filled := 0
	for _, id := range queues {
		if slices.ContainsFunc(robots, func(r string) bool { v, _ := d.Robot(r); return slices.Contains(v.QueueIDs, id) }) {
			filled++
		}
	}
	for _, tt := range []struct {
		name, list, filter string
		want               []string
		calls              e2e.Counts
	}{
		{"ids", "robots", "ids: " + quoted(robots[3], strings.ToUpper(robots[1]), e2e.UnknownID), keep(robots, func(id string) bool { return id == robots[1] || id == robots[3] }), calls(e2e.Counts{e2e.Robots: 1})},
		{"no ids", "robots", "ids: []", nil, calls(e2e.Counts{})},
		{"no ids without queue", "robots", "ids: [], withoutQueue: true", nil, calls(e2e.Counts{})},
		{"no ids of unused packages", "packages", "ids: [], unused: true", nil, calls(e2e.Counts{})},
		{"ids of packages", "packages", "ids: " + quoted(packages[2]), packages[2:3], calls(e2e.Counts{e2e.Packages: 1})},
		{"ids of layouts", "workflowLayouts", "ids: " + quoted(d.LayoutIDs(dept)[1]), d.LayoutIDs(dept)[1:2], calls(e2e.Counts{e2e.Layouts: 1})},
		{"status", "robots", "status: [BUSY]", keep(robots, func(id string) bool { return slices.Index(robots, id)%3 == 1 }), calls(e2e.Counts{e2e.Robots: 1})},
		{"statuses", "robots", "status: [BUSY, READY]", keep(robots, func(id string) bool { return slices.Index(robots, id)%3 != 2 }), calls(e2e.Counts{e2e.Robots: 1})},
		{"no status", "robots", "status: []", nil, calls(e2e.Counts{})},
		{"without queue", "robots", "withoutQueue: true", keep(robots, func(id string) bool { return !inQueue(id) }), calls(e2e.Counts{e2e.Queues: 1, e2e.Robots: 1 + filled})},
		{"in a queue", "robots", "withoutQueue: false", keep(robots, inQueue), calls(e2e.Counts{e2e.Queues: 1, e2e.Robots: 1 + filled})},
		{"outdated", "workflows", "outdated: true", keep(workflows, func(id string) bool {
			v, _ := d.Workflow(id)
			p, ok := d.Package(v.PackageID)
			return ok && p.Latest().ID != v.PackageVersionID
		}), calls(e2e.Counts{e2e.Workflows: 1, e2e.Packages: 1})},
		{"tags", "workflows", "tags: " + quoted(tag), keep(workflows, func(id string) bool { v, _ := d.Workflow(id); return slices.Contains(v.Tags, tag) }), calls(e2e.Counts{e2e.Workflows: 1})},
		{"unused", "packages", "unused: true", keep(packages, func(id string) bool { return !used[id] }), calls(e2e.Counts{e2e.Packages: 1, e2e.Workflows: 1})},
		{"used", "packages", "unused: false", keep(packages, func(id string) bool { return used[id] }), calls(e2e.Counts{e2e.Packages: 1, e2e.Workflows: 1})},
		{"empty", "queues", "empty: false", keep(queues, func(id string) bool {
			return slices.ContainsFunc(robots, func(r string) bool { v, _ := d.Robot(r); return slices.Contains(v.QueueIDs, id) })
		}), calls(e2e.Counts{e2e.Queues: 1})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.Sim.ResetCounts()
			got, total, more := idsOf(t, w, tt.list, "(first: 500, filter: {"+tt.filter+"})")
			if diff := gocmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("- want + answered:\n%s", diff)
			}
			if total != len(tt.want) || more {
				t.Errorf("%d in total, more %v", total, more)
			}
			if diff := gocmp.Diff(tt.calls, w.Calls()); diff != "" {
				t.Errorf("console calls, - want + made:\n%s", diff)
			}
			w.CheckNoDuplicateCalls()
			if len(tt.want) < 3 {
				return
			}
			page, total, more := idsOf(t, w, tt.list, "(first: 1, offset: 1, filter: {"+tt.filter+"})")
			if !slices.Equal(page, tt.want[1:2]) || total != len(tt.want) || !more {
				t.Errorf("the second is %v of %d, more %v", page, total, more)
			}
		})
	}
	if n := w.Unplanned(); n != "0" {
		t.Errorf("look-ahead overlooked %s loads", n)
	}
}

// TestEmptyCompanyLists verifies that lists of a company in which nothing can match cost no list.
func TestEmptyCompanyLists(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for name, list := range map[string]string{
		"no ids":                     `packages(filter: {ids: []})`,
		"no ids in an order":         `workflows(filter: {ids: []}, orderBy: {field: NAME})`,
		"no status":                  `robots(filter: {status: []})`,
		"no departments":             `robots(departmentIds: [])`,
		"no departments in an order": `queues(departmentIds: [], orderBy: {field: NAME}, offset: 3)`,
	} {
		t.Run(name, func(t *testing.T) {
			w.Sim.ResetCounts()
			a := w.Ask(fmt.Sprintf(`{ company(id: %q) { list: %s { totalCount nodes { id } unavailable { code } pageInfo { hasNextPage } } } }`, w.Sim.Data().MainCompanyID(), list), e2e.Request{})
			if want := `{"company":{"list":{"totalCount":0,"nodes":[],"unavailable":[],"pageInfo":{"hasNextPage":false}}}}`; string(a.Data) != want || len(a.Errors) > 0 {
				t.Errorf("answered %s", a.Body)
			}
			if diff := gocmp.Diff(e2e.Counts{e2e.Companies: 1}, w.Calls()); diff != "" {
				t.Errorf("console calls, - want + made:\n%s", diff)
			}
		})
	}
}

// TestNegativeSeconds verifies that a negative age of heartbeats is refused before any call.
func TestNegativeSeconds(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for query, argument := range map[string]string{
		`{ robots(filter: {silentFor: -1}) { totalCount } }`:                                          "filter.silentFor",
		`{ companies { robots(filter: {silentFor: -1}) { totalCount } } }`:                            "filter.silentFor",
		`{ robotCounts { silent(seconds: -1) } }`:                                                     "seconds",
		`{ companies { departments { robotCounts { a: silent b: silent(seconds: -2147483648) } } } }`: "seconds",
		`query($s: Int! = -1) { queues { nodes { robotCounts { silent(seconds: $s) } } } }`:           "seconds",
	} {
		w.Sim.ResetCounts()
		if e := w.OnlyError(w.Ask(query, e2e.Request{})); e.Extensions.Code != "BAD_USER_INPUT" || e.Extensions.Argument != argument {
			t.Errorf("%s: %+v", query, e)
		}
		w.CheckNoCalls()
	}
}

// TestOrders compares orders with the data.
func TestOrders(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	d := w.Sim.Data()
	workflows := d.WorkflowIDs(d.MainDepartmentID())
	key := func(of func(consolesim.Workflow) string) func(string) string {
		return func(id string) string { v, _ := d.Workflow(id); return of(v) }
	}
	const form = "2006-01-02T15:04:05.000000000"
	for field, of := range map[string]func(string) string{
		"NAME":       key(func(v consolesim.Workflow) string { return v.Name }),
		"CREATED_AT": key(func(v consolesim.Workflow) string { return v.CreatedAt.UTC().Truncate(1e6).Format(form) }),
		"LAST_TRIGGERED_AT": key(func(v consolesim.Workflow) string {
			if v.LastTriggeredAt.IsZero() {
				return ""
			}
			return v.LastTriggeredAt.UTC().Truncate(1e6).Format(form)
		}),
	} {
		for direction, sign := range map[string]int{"ASC": 1, "DESC": -1} {
			t.Run(field+" "+direction, func(t *testing.T) {
				want := slices.SortedFunc(slices.Values(workflows), func(a, b string) int {
					x, y := of(a), of(b)
					if (x == "") != (y == "") {
						return cmp.Compare(y, x)
					}
					return cmp.Or(sign*cmp.Compare(x, y), cmp.Compare(a, b))
				})
				w.Sim.ResetCounts()
				got, total, _ := idsOf(t, w, "workflows", "(first: 500, order: ASC, orderBy: {field: "+field+", direction: "+direction+"})")
				if diff := gocmp.Diff(want, got); diff != "" || total != len(want) {
					t.Errorf("%d, - want + answered:\n%s", total, diff)
				}
				if diff := gocmp.Diff(e2e.Counts{e2e.Workflows: 1}, w.Calls()); diff != "" {
					t.Errorf("console calls, - want + made:\n%s", diff)
				}
			})
		}
	}
}

// TestBadListArguments verifies that bad conditions and orders are refused before any call.
func TestBadListArguments(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for name, query := range map[string]string{
		"an id":        `{ robots(filter: {ids: ["x"]}) { totalCount } }`,
		"a status":     `{ robots(filter: {status: [UNKNOWN]}) { totalCount } }`,
		"a field":      `{ robots(orderBy: {field: CREATED_AT}) { totalCount } }`,
		"many ids":     `{ robots(filter: {ids: [` + strings.Repeat(`"`+e2e.UnknownID+`",`, 1001) + `]}) { totalCount } }`,
		"a department": `{ companies { robots(departmentIds: ["x"]) { totalCount } } }`,
		"a long tag":   `{ workflows(filter: {tags: ["` + strings.Repeat("x", 1001) + `"]}) { totalCount } }`,
		"a local time": `{ workflows(filter: {triggeredBefore: "2026-01-01T00:00:00"}) { totalCount } }`,
	} {
		t.Run(name, func(t *testing.T) {
			w.Sim.ResetCounts()
			if a := w.Ask(query, e2e.Request{}); len(a.Errors) == 0 {
				t.Errorf("answered %s", a.Body)
			}
			w.CheckNoCalls()
		})
	}
}
