package deploy_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
)

type dashboard struct {
	UID, Title    string
	SchemaVersion int
	Panels        []panel
	Templating    struct {
		List []struct {
			Name, Type string
			Query      json.RawMessage
		}
	}
}

type panel struct {
	ID          int
	Type, Title string
	Description string
	GridPos     struct{ X, Y, W, H int }
	Datasource  struct{ UID string }
	Targets     []target
	FieldConfig struct{ Defaults struct{ Unit string } }
}

type target struct {
	RefID, Expr, LegendFormat string
	Datasource                struct{ UID string }
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	raw, err := os.ReadFile("grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatalf("grafana-dashboard.json: %v", err)
	}
	if strings.Contains(string(raw), "://") {
		t.Error("the dashboard loads something from elsewhere")
	}
	return d
}

func TestDashboardIsSelfContained(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	if d.UID == "" || d.Title == "" || d.SchemaVersion < 38 { // that of Grafana 10
		t.Errorf("%q (%q) has the schema version %d", d.Title, d.UID, d.SchemaVersion)
	}
	kinds := make(map[string]string)
	for _, v := range d.Templating.List {
		kinds[v.Name] = v.Type
	}
	if kinds["datasource"] != "datasource" || kinds["job"] != "query" || kinds["instance"] != "query" {
		t.Errorf("variables are %v", kinds)
	}
	var rows []string
	ids, taken := make(map[int]bool), make(map[[2]int]string)
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s: the id %d is another panel's", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies over %q or beyond the edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		switch p.Type {
		case "row":
			rows = append(rows, p.Title)
		case "timeseries": // which Grafana brings along
			p.check(t)
		default:
			t.Errorf("%s: a panel of the type %s", p.Title, p.Type)
		}
	}
	if want := []string{"What users see", "The console", "Caches", "Process", "Parts and accounts", "Clients and load"}; !slices.Equal(rows, want) {
		t.Errorf("rows are %q", rows)
	}
}

func (p panel) check(t *testing.T) {
	t.Helper()
	if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" {
		t.Errorf("%s lacks a description, a unit, a query or the chosen data source", p.Title)
	}
	refs := make(map[string]bool)
	for _, q := range p.Targets {
		if refs[q.RefID] || q.LegendFormat == "" || q.Datasource.UID != "${datasource}" {
			t.Errorf("%s: the query %s lacks a name of its own, a legend or the chosen data source", p.Title, q.RefID)
		}
		refs[q.RefID] = true
		// Otherwise selecting an instance would not affect the panel.
		if n := len(selection.FindAllString(q.Expr, -1)); strings.Count(q.Expr, `job="$job"`) != n || strings.Count(q.Expr, `instance=~"$instance"`) != n {
			t.Errorf("%s: not only of the job and the instances chosen: %s", p.Title, q.Expr)
		}
	}
}

func TestAlertsHaveRunbooks(t *testing.T) {
	t.Parallel()
	names := make(map[string]bool)
	for _, a := range alerts(t) {
		if names[a.Alert] || !strings.HasPrefix(a.Alert, "ConsoleQL") {
			t.Errorf("%s: not a name of its own", a.Alert)
		}
		names[a.Alert] = true
		if !slices.Contains([]string{"page", "ticket"}, a.Labels["severity"]) {
			t.Errorf("%s: severity %q", a.Alert, a.Labels["severity"])
		}
		if summary := a.Annotations["summary"]; summary == "" || len(a.Annotations["description"]) < 2*len(summary) {
			t.Errorf("%s: says %q", a.Alert, a.Annotations)
		}
		// An expression over a quarter of an hour needs no further delay.
		if d, err := model.ParseDuration(a.For); !strings.Contains(a.Expr, "increase(") && (err != nil || d == 0) {
			t.Errorf("%s: for %q (%v)", a.Alert, a.For, err)
		}
		for _, braces := range regexp.MustCompile(`\{\{[^}]*\}\}`).FindAllString(a.Annotations["summary"]+a.Annotations["description"], -1) {
			if !regexp.MustCompile(`^\{\{ \$(labels\.[a-z_]+|value \| humanize[A-Za-z0-9]*) \}\}$`).MatchString(braces) {
				t.Errorf("%s: Prometheus cannot fill in %s", a.Alert, braces)
			}
		}
	}
	if len(names) == 0 {
		t.Error("there are no alerts")
	}
}
