package deploy_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/redistest"
)

// metric is the series of one name in a scrape.
type metric struct {
	counter bool                // or a part of a histogram or a summary: only ever grows
	help    string              // which names values of labels that are rare
	series  []map[string]string // labels
}

// scraped contains the metrics of a scrape, by name.
type scraped map[string]*metric

// scrapedGateway returns the metrics of a gateway after operations of all kinds.
func scrapedGateway(t *testing.T) scraped {
	t.Helper()
	sim := simulator(t)
	// The bounds are small, so that entries are evicted from memory and not written to Redis.
	g := serve(t, sim, map[string]string{"CONSOLEQL_REDIS_URL": redistest.Start(t).URL(), "CONSOLEQL_CACHE_BYTES": "8192"})
	deadline := time.Now().Add(time.Minute)
	for first := 1; ; first++ { // another query each time, or it would be answered as before
		all := g.scrape()
		if all["consoleql_cache_evictions_total"] != nil && all["consoleql_cache_unshared_total"] != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no answer left the memory, or all went to Redis: %q", slices.Sorted(maps.Keys(all)))
		}
		n := strconv.Itoa(first%100 + 1)
		g.ask(`{ packages(first: ` + n + `) { nodes { name versions { version } } } }`)
		g.ask(`{ workflows(first: ` + n + `) { nodes { name queue { name } robots { name } } } }`)
	}
	g.ask(`{ there is no such field }`)
	unknown := `mutation { deleteQueue(input: {id: "00000000-0000-4000-8000-00000000dead"}) { deletedId } }`
	g.ask(unknown)
	g.ask(`mutation { signIn(input: {username: "nobody", password: "wrong"}) { sessionToken } }`)
	stop := sim.Fail(func(r *http.Request) bool { return r.Method == http.MethodDelete }, consolesim.Fault{Status: http.StatusForbidden})
	g.ask(unknown)
	stop()
	stop = sim.Fail(nil, consolesim.Fault{Status: http.StatusInternalServerError})
	if answer := g.ask(`{ viewer { userName } queues { nodes { name } } }`); !strings.Contains(answer, "UPSTREAM_") {
		t.Errorf("a console that fails gives %s", answer)
	}
	stop()
	return g.scrape()
}

// scrape reads the metrics like Prometheus.
func (g *gateway) scrape() scraped {
	g.t.Helper()
	_, body := g.get(g.admin + "/metrics")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		g.t.Fatalf("%v in %s", err, body)
	}
	all := scraped{"up": {series: []map[string]string{{"job": "consoleql", "instance": "a:1"}}}}
	for name, family := range families {
		add := func(suffix string, counter bool, more ...string) {
			m := &metric{counter: counter, help: family.GetHelp()}
			for _, one := range family.GetMetric() {
				labels := map[string]string{"job": "consoleql", "instance": "a:1"} // Prometheus' own
				for _, l := range one.GetLabel() {
					labels[l.GetName()] = l.GetValue()
				}
				for _, name := range more {
					labels[name] = ""
				}
				m.series = append(m.series, labels)
			}
			all[name+suffix] = m
		}
		switch family.GetType().String() {
		case "HISTOGRAM":
			add("_bucket", true, "le")
			add("_sum", true)
			add("_count", true)
		case "SUMMARY":
			add("", false, "quantile")
			add("_sum", true)
			add("_count", true)
		default:
			add("", family.GetType().String() == "COUNTER")
		}
	}
	return all
}

// query is an expression, and the labels in its legend.
type query struct {
	where, expr string
	legend      []string
}

var (
	selection = regexp.MustCompile(`\b(up|(?:consoleql|go|process)_[a-z0-9_]+)\b(?:\{([^}]*)\})?(\[)?`)
	matcher   = regexp.MustCompile(`([a-z_]+)(=~|!~|!=|=)"([^"]*)"`)
	grouping  = regexp.MustCompile(`\bby \(([a-z_, ]+)\)\s*\(`)
	// variables maps the dashboard's variables to Grafana's values.
	variables = strings.NewReplacer("$__rate_interval", "5m", "$job", "consoleql", "$instance", "a:1")
)

// check compares an expression with the scraped metrics.
func (s scraped) check(t *testing.T, q query) {
	t.Helper()
	expr := strings.Join(strings.Fields(variables.Replace(q.expr)), " ")
	if strings.Contains(expr, "$") {
		t.Errorf("%s: an unknown variable in %s", q.where, expr)
	}
	found := selection.FindAllStringSubmatchIndex(expr, -1)
	if len(found) == 0 {
		t.Errorf("%s: no metric in %s", q.where, expr)
	}
	for _, at := range found {
		name, matchers := expr[at[2]:at[3]], ""
		if at[4] >= 0 {
			matchers = expr[at[4]:at[5]]
		}
		m := s[name]
		if m == nil {
			t.Errorf("%s: the gateway has no metric %s", q.where, name)
			continue
		}
		// The rate of a gauge and the plain value of a counter are meaningless.
		before := expr[:at[0]]
		rated := strings.HasSuffix(before, "rate(") || strings.HasSuffix(before, "increase(")
		if rated && !m.counter || !rated && m.counter && !strings.Contains(expr, "unless "+name) {
			t.Errorf("%s: %s is a counter: %v; asked for its increase: %v", q.where, name, m.counter, rated)
		}
		m.match(t, q.where+": "+name, matchers)
	}
	labels := s.labels(t, q.where, expr, found)
	for _, name := range q.legend {
		if !slices.Contains(labels, name) {
			t.Errorf("%s: results have the labels %q, and no %s", q.where, labels, name)
		}
	}
}

// match searches for a series that satisfies the matchers.
func (m *metric) match(t *testing.T, where, matchers string) {
	t.Helper()
	if rest := strings.Trim(matcher.ReplaceAllString(matchers, ""), ", "); rest != "" {
		t.Errorf("%s: matchers that are not understood: %s", where, rest)
	}
	for _, one := range matcher.FindAllStringSubmatch(matchers, -1) {
		label, operator, value := one[1], one[2], one[3]
		values := strings.Split(value, "|") // each of which there must be
		if operator == "=" || operator == "!=" {
			values = []string{value}
		}
		for _, value := range values {
			pattern := regexp.MustCompile("^(?:" + value + ")$")
			known := slices.ContainsFunc(m.series, func(labels map[string]string) bool {
				have, ok := labels[label]
				return ok && pattern.MatchString(have)
			})
			// The test cannot produce stale answers and internal errors.
			named := regexp.MustCompile(`\b`+value+`\b`).MatchString(m.help) || label == "code" && value == string(fault.Internal)
			if !known && !named {
				t.Errorf("%s: no series has %s%s%q", where, label, operator, value)
			}
		}
	}
}

// labels returns the labels of an expression's results: its grouping labels, or those of its
// metrics.
func (s scraped) labels(t *testing.T, where, expr string, found [][]int) []string {
	t.Helper()
	var names []string
	for _, group := range grouping.FindAllStringSubmatchIndex(expr, -1) {
		end := closing(expr, group[1]-1)
		if end < 0 {
			t.Errorf("%s: a bracket is not closed in %s", where, expr)
			return nil
		}
		for label := range strings.SplitSeq(expr[group[2]:group[3]], ", ") {
			names = append(names, label)
			for _, at := range found {
				if name := expr[at[2]:at[3]]; at[0] > group[1] && at[0] < end && !s.has(name, label) {
					t.Errorf("%s: %s has no label %s", where, name, label)
				}
			}
		}
	}
	if len(names) == 0 && !strings.Contains(expr, "sum(") && !strings.Contains(expr, "absent(") {
		for _, at := range found {
			if m := s[expr[at[2]:at[3]]]; m != nil && len(m.series) > 0 {
				names = slices.AppendSeq(names, maps.Keys(m.series[0]))
			}
		}
	}
	return names
}

func (s scraped) has(name, label string) bool {
	m := s[name]
	return m != nil && slices.ContainsFunc(m.series, func(labels map[string]string) bool { _, ok := labels[label]; return ok })
}

// closing returns the position of the bracket that closes the one at i; -1: none.
func closing(text string, i int) int {
	depth := 0
	for ; i < len(text); i++ {
		switch text[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// TestRulesAndDashboardMetricsExist compares the expressions of rules and dashboard with
// a real gateway's metrics.
func TestRulesAndDashboardMetricsExist(t *testing.T) {
	t.Parallel()
	all := scrapedGateway(t)
	var shown strings.Builder
	for _, q := range append(ruleQueries(t), dashboardQueries(t)...) {
		all.check(t, q)
		if strings.HasPrefix(q.where, "dashboard") {
			shown.WriteString(q.expr + "\n")
		}
	}
	for name := range all {
		base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if strings.HasPrefix(name, "consoleql_") && !strings.Contains(shown.String(), base) {
			t.Errorf("the dashboard does not show %s", base)
		}
	}
}

type alert struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func alerts(t *testing.T) []alert {
	t.Helper()
	raw, err := os.ReadFile("prometheus-rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string  `yaml:"name"`
			Rules []alert `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.UnmarshalWithOptions(raw, &file, yaml.Strict()); err != nil {
		t.Fatalf("prometheus-rules.yaml: %v", err)
	}
	var all []alert
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

func ruleQueries(t *testing.T) []query {
	t.Helper()
	var all []query
	for _, a := range alerts(t) {
		q := query{where: "rule " + a.Alert, expr: a.Expr}
		for _, text := range a.Annotations {
			for _, label := range regexp.MustCompile(`\$labels\.([a-z_]+)`).FindAllStringSubmatch(text, -1) {
				q.legend = append(q.legend, label[1])
			}
		}
		all = append(all, q)
	}
	return all
}

func dashboardQueries(t *testing.T) []query {
	t.Helper()
	var all []query
	d := readDashboard(t)
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			q := query{where: "dashboard, " + p.Title, expr: target.Expr}
			for _, label := range regexp.MustCompile(`\{\{([a-z_]+)\}\}`).FindAllStringSubmatch(target.LegendFormat, -1) {
				q.legend = append(q.legend, label[1])
			}
			all = append(all, q)
		}
	}
	// Values of the variables: label_values(metric, label).
	for _, v := range d.Templating.List {
		var of struct{ Query string }
		if v.Type != "query" {
			continue
		}
		if err := json.Unmarshal(v.Query, &of); err != nil {
			t.Fatal(err)
		}
		inner, label, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(of.Query, "label_values("), ")"), ", ")
		if !ok {
			t.Errorf("the variable %s is chosen from %s", v.Name, of.Query)
		}
		all = append(all, query{where: "variable " + v.Name, expr: inner, legend: []string{label}})
	}
	return all
}
