package consolesim

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// kinds are the five lists with their expected ids.
func kinds(c *console, dept string) map[string][]string {
	d := c.Data()
	return map[string][]string{
		"packages": d.PackageIDs(dept), "queues": d.QueueIDs(dept), "robots": d.RobotIDs(dept),
		"workflows": d.WorkflowIDs(dept), "workflowlayouts": d.LayoutIDs(dept),
	}
}

func TestPaging(t *testing.T) {
	c := start(t, Options{PageClamp: 30})
	for kind, want := range kinds(c, c.dept) {
		t.Run(kind, func(t *testing.T) {
			c := c.in(t)
			path := "/openapi/" + kind
			first := c.get(path).object()
			if got := idsOf(first.list("list")); !slices.Equal(got, want[:min(20, len(want))]) {
				t.Errorf("default page has %d entities, want the newest 20", len(got))
			}
			var all []string
			for i := 0; ; i++ {
				o := c.get(fmt.Sprintf("%s?PageIndex=%d&pagesize=1000", path, i)).object()
				if o.int("count") != len(want) {
					t.Fatalf("count %d, want %d", o.int("count"), len(want))
				}
				l := idsOf(o.list("list"))
				if len(l) > 30 {
					t.Fatalf("page of %d is larger than the clamp", len(l))
				}
				if len(l) == 0 {
					break
				}
				all = append(all, l...)
			}
			if !slices.Equal(all, want) {
				t.Errorf("all pages hold %d entities, want %d in their order", len(all), len(want))
			}
			up := idsOf(c.get(path + "?IsDesc=false&PageSize=7&PageIndex=1").object().list("list"))
			slices.Reverse(want)
			if !slices.Equal(up, want[min(7, len(want)):min(14, len(want))]) {
				t.Errorf("second ascending page %v", up)
			}
			for _, q := range []string{"PageIndex=-1", "PageSize=0", "PageSize=x", "IsDesc=maybe", "PageIndex=2147483647"} {
				c.call(http.MethodGet, path+"?"+q, "").problem(http.StatusBadRequest, "")
			}
		})
	}
}

func TestEqualTimesAreOrderedByID(t *testing.T) {
	clk := newClock() // stands still
	c := start(t, Options{Now: clk.now})
	var ids []string
	for range 10 {
		ids = append(ids, c.call(http.MethodPost, "/openapi/queues", `{"name":"tied"}`).want(http.StatusOK).object().str("id"))
	}
	slices.Sort(ids)
	if got := idsOf(c.get("/openapi/queues?Name=tied&IsDesc=false").object().list("list")); !slices.Equal(got, ids) {
		t.Errorf("ascending %v, want %v", got, ids)
	}
	slices.Reverse(ids)
	if got := idsOf(c.get("/openapi/queues?PageSize=10").object().list("list")); !slices.Equal(got, ids) {
		t.Errorf("descending %v, want %v", got, ids)
	}
}

func TestListsContainOneDepartment(t *testing.T) {
	c := start(t, Options{})
	for _, co := range c.Data().Companies() {
		for _, dept := range co.DepartmentIDs {
			scoped := c.as(c.token, co.ID, dept)
			for kind, want := range kinds(c, dept) {
				l := scoped.get("/openapi/" + kind + "?PageSize=500").object().list("list")
				if !slices.Equal(idsOf(l), want) || len(want) == 0 {
					t.Errorf("%s of %s: %d entities, want %d and at least one", kind, dept, len(l), len(want))
				}
				for _, o := range l {
					if o.str("departmentId") != dept || o.str("companyId") != co.ID {
						t.Errorf("%s of %s: stray %v", kind, dept, o)
					}
				}
			}
		}
	}
}

func TestNameAndSearch(t *testing.T) {
	c := start(t, Options{})
	for kind, ids := range kinds(c, c.dept) {
		t.Run(kind, func(t *testing.T) {
			c := c.in(t)
			all := c.get("/openapi/" + kind + "?PageSize=500").object().list("list")
			sample := all[len(ids)/2]
			name := strings.ToUpper(sample.str("name"))
			o := c.get("/openapi/" + kind + "?Name=" + url.QueryEscape(name)).object()
			if !slices.Contains(idsOf(o.list("list")), sample.str("id")) || o.int("count") >= len(ids) {
				t.Errorf("by name %q: %d of %d", name, o.int("count"), len(ids))
			}
			word := sample.str("description")
			want := 0
			for _, e := range all {
				if strings.Contains(e.str("description"), word) {
					want++
				}
			}
			if got := c.get("/openapi/" + kind + "?SearchString=" + url.QueryEscape(word)).object().int("count"); got != want {
				t.Errorf("by search %q: %d, want %d", word, got, want)
			}
			if got := c.get("/openapi/" + kind + "?Name=no-such-name").object(); got.int("count") != 0 || got["list"] == nil {
				t.Errorf("no hit: %v", got)
			}
		})
	}
	tag := c.get("/openapi/packages?SearchString=TREASURY").object()
	if tag.int("count") == 0 {
		t.Error("SearchString does not look at tags")
	}
}

func TestIds(t *testing.T) {
	foreign := "11111111-2222-4333-8444-555555555555"
	for _, noIDs := range []bool{false, true} {
		c := start(t, Options{NoIDs: noIDs})
		elsewhere := c.Data().Departments(c.company)[0].ID
		for kind, ids := range kinds(c, c.dept) {
			t.Run(fmt.Sprintf("%s, NoIDs %v", kind, noIDs), func(t *testing.T) {
				c := c.in(t)
				known := kind != "packages" && kind != "workflowlayouts" && !noIDs
				other := kinds(c, elsewhere)[kind][0]
				q := url.Values{"Ids": {strings.ToUpper(ids[3]), ids[1], ids[1], foreign, other}}
				o := c.get("/openapi/" + kind + "?" + q.Encode()).object()
				got, want := idsOf(o.list("list")), ids[:min(20, len(ids))]
				if known {
					want = []string{ids[1], ids[3]}
				}
				if !slices.Equal(got, want) {
					t.Errorf("Ids: %v, want %v", got, want)
				}
				status := http.StatusOK
				if known {
					status = http.StatusBadRequest
				}
				c.call(http.MethodGet, "/openapi/"+kind+"?Ids=x", "").want(status)
				paged := idsOf(c.get("/openapi/" + kind + "?ids=" + ids[0] + "&ids=" + ids[2] + "&PageSize=1&PageIndex=1").object().list("list"))
				if known && !slices.Equal(paged, ids[2:3]) {
					t.Errorf("second page of Ids: %v", paged)
				}
			})
		}
	}
}

func TestTimes(t *testing.T) {
	c := start(t, Options{})
	for kind, ids := range kinds(c, c.dept) {
		if kind == "workflowlayouts" {
			continue
		}
		t.Run(kind, func(t *testing.T) {
			c := c.in(t)
			all := c.get("/openapi/" + kind + "?PageSize=500").object().list("list")
			q := url.Values{"StartTime": {all[9].str("createdAt")}, "EndTime": {all[4].str("createdAt")}}
			got := idsOf(c.get("/openapi/" + kind + "?" + q.Encode()).object().list("list"))
			if !slices.Equal(got, ids[4:10]) {
				t.Errorf("%d entities between the fifth and the tenth, want 6", len(got))
			}
			c.call(http.MethodGet, "/openapi/"+kind+"?StartTime=yesterday", "").problem(http.StatusBadRequest, "StartTime")
		})
	}
}

func TestRelationFilters(t *testing.T) {
	c := start(t, Options{})
	d := c.Data()
	w, _ := d.Workflow(d.WorkflowIDs(c.dept)[0])
	set := func(c *console, kind, query string) []string {
		ids := idsOf(c.get("/openapi/" + kind + "?PageSize=500&" + query).object().list("list"))
		slices.Sort(ids)
		return ids
	}
	collect := func(match func(Workflow) bool, pick func(Workflow) []string) []string {
		var out []string
		for _, id := range d.WorkflowIDs(c.dept) {
			if v, _ := d.Workflow(id); match(v) {
				out = append(out, pick(v)...)
			}
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	self := func(v Workflow) []string { return []string{v.ID} }
	queue := func(v Workflow) []string { return []string{v.QueueID} }
	byQueue := func(v Workflow) bool { return v.QueueID == w.QueueID }
	byPackage := func(v Workflow) bool { return v.PackageID == w.PackageID }
	byVersion := func(v Workflow) bool { return v.PackageVersionID == w.PackageVersionID }
	var members []string
	for _, id := range d.RobotIDs(c.dept) {
		if r, _ := d.Robot(id); slices.Contains(r.QueueIDs, w.QueueID) {
			members = append(members, id)
		}
	}
	slices.Sort(members)
	for name, tc := range map[string]struct {
		kind, query string
		want        []string
	}{
		"workflows of a queue":   {"workflows", "AssociatedQueueId=" + strings.ToUpper(w.QueueID), collect(byQueue, self)},
		"workflows of a package": {"workflows", "PackageId=" + w.PackageID, collect(byPackage, self)},
		"workflows of a version": {"workflows", "PackageVersionId=" + w.PackageVersionID, collect(byVersion, self)},
		"queues of a package":    {"queues", "PackageId=" + w.PackageID, collect(byPackage, queue)},
		"queues of a version":    {"queues", "PackageVersionId=" + w.PackageVersionID, collect(byVersion, queue)},
		"queue in use":           {"queues", "AssociatedQueueId=" + w.QueueID, []string{w.QueueID}},
		"robots of a queue":      {"robots", "AssociatedQueueId=" + w.QueueID, members},
		"robots of a package":    {"robots", "PackageId=" + w.PackageID, collect(byPackage, func(v Workflow) []string { return v.RobotIDs })},
		"robots of a version":    {"robots", "PackageVersionId=" + w.PackageVersionID, collect(byVersion, func(v Workflow) []string { return v.RobotIDs })},
	} {
		t.Run(name, func(t *testing.T) {
			c := c.in(t)
			if got := set(c, tc.kind, tc.query); !slices.Equal(got, tc.want) || len(got) == 0 {
				t.Errorf("%v, want %v", got, tc.want)
			}
			c.call(http.MethodGet, "/openapi/"+tc.kind+"?PackageId=x", "").problem(http.StatusBadRequest, "")
		})
	}
	q, _ := d.Queue(w.QueueID)
	if q.RobotCount != len(members) {
		t.Errorf("robotCount %d, want %d", q.RobotCount, len(members))
	}
}

func TestSingleEntitiesAndUnknownIDs(t *testing.T) {
	c := start(t, Options{Dialect: Dialect{BareSingle: true}})
	outside := c.as(c.token, c.company, c.Data().Departments(c.company)[0].ID)
	for kind, ids := range kinds(c, c.dept) {
		t.Run(kind, func(t *testing.T) {
			c := c.in(t)
			o := c.get("/openapi/" + kind + "/" + strings.ToUpper(ids[0])).object()
			if o.str("id") != ids[0] || o.str("departmentId") != c.dept || o.str("name") == "" {
				t.Errorf("entity %v", o)
			}
			outside.in(t).call(http.MethodGet, "/openapi/"+kind+"/"+ids[0], "").problem(http.StatusNotFound, ids[0])
			c.call(http.MethodGet, "/openapi/"+kind+"/not-a-guid", "").problem(http.StatusBadRequest, "not-a-guid")
		})
	}
}
