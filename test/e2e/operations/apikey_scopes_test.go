package operations

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/internal/idempotency"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestIdempotencyKeysOutliveScopes verifies that an API key keeps its idempotency keys when its scopes are edited. A
// repeated call is refused where the key may not make it any more.
func TestIdempotencyKeysOutliveScopes(t *testing.T) {
	t.Parallel()
	k, store := &e2e.Keyring{T: t}, redistest.Start(t)
	w := e2e.NewWorld(t, consolesim.Options{})
	d := w.Sim.Data()
	main, dept, sibling, other := d.MainCompanyID(), d.MainDepartmentID(), d.Departments(d.MainCompanyID())[2].ID, d.Companies()[1].ID
	k.Account("owner", d.Users()[0])
	key := k.Key("nightly", "owner", "")
	entry := strings.TrimSuffix(k.Keys, "}\n")
	var first string
	for _, step := range []struct{ name, limits, code string }{
		{"no scopes", "", ""},
		{"a first scope", fmt.Sprintf(", scopes: [{companyId: %s}]", main), ""},
		{"departments", fmt.Sprintf(", scopes: [{companyId: %s, departmentIds: [%s, %s]}]", main, dept, sibling), ""},
		{"reordered departments", fmt.Sprintf(", scopes: [{companyId: %s, departmentIds: [%s, %s]}]", main, sibling, dept), ""},
		{"another company", fmt.Sprintf(", scopes: [{companyId: %s}, {companyId: %s}]", main, other), ""},
		{"reordered companies", fmt.Sprintf(", scopes: [{companyId: %s}, {companyId: %s}]", other, main), ""},
		{"a department removed", fmt.Sprintf(", scopes: [{companyId: %s, departmentIds: [%s]}]", main, sibling), "FORBIDDEN"},
		{"a company removed", fmt.Sprintf(", scopes: [{companyId: %s}]", other), "FORBIDDEN"},
		{"other fields", ", fields: [workflows]", "FORBIDDEN"},
		{"other types", ", types: [Workflow]", "FORBIDDEN"},
		{"queries only", ", operations: [query]", "FORBIDDEN"},
		{"no scopes again", "", ""},
	} {
		t.Run(step.name, func(t *testing.T) {
			k.Keys = entry + step.limits + "}\n"
			g := w.SecondGateway(e2e.WithoutAnonymous, func(s *gateway.Settings, _ *consolesim.Server) {
				s.APIKeysFile, s.RedisURL = k.Write(), store.URL()
			})
			header := e2e.MergeHeaders(key, e2e.ScopeHeader(main, dept))
			var clients sync.WaitGroup
			answers := make([]e2e.Answer, 5)
			for i := range answers {
				clients.Go(func() { answers[i] = g.Ask(w.Execution("nightly"), e2e.Request{Header: header}) })
			}
			clients.Wait()
			if first == "" {
				first = string(answers[0].Data)
			}
			for _, a := range answers {
				if step.code != "" {
					if e := g.OnlyError(a); e.Extensions.Code != step.code || strings.Contains(string(a.Body), `"jobs"`) {
						t.Errorf("answered %s", a.Body)
					}
				} else if len(a.Errors) > 0 || string(a.Data) != first {
					t.Errorf("answered %s, want %s", a.Body, first)
				}
			}
			if n := w.Sim.Counts()[e2e.Execute]; n != 1 {
				t.Errorf("%d executions", n)
			}
			replayed := func(l auditLine) bool { return l.Phase == "done" && l.Idempotency != nil && l.Idempotency.Replayed }
			switch {
			case step.code != "":
				if lines := auditLines(g.Logs.String(), replayed); len(lines) > 0 {
					t.Errorf("replayed: %+v", lines)
				}
			case step.name == "no scopes":
				awaitAudit(t, g.Logs, len(answers)-1, replayed)
			default:
				awaitAudit(t, g.Logs, len(answers), replayed)
			}
		})
	}
	if slices.Contains([]string{"", "null"}, first) {
		t.Errorf("the first answer is %q", first)
	}
}

// TestIdempotencyKeysOfDepartments verifies that API keys of one account with scopes in different departments do not disturb
// each other by equal idempotency keys.
func TestIdempotencyKeysOfDepartments(t *testing.T) {
	t.Parallel()
	k := &e2e.Keyring{T: t}
	var departments []string
	var keys []map[string]string
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous, func(s *gateway.Settings, sim *consolesim.Server) {
		d := sim.Data()
		k.Account("owner", d.Users()[0])
		departments = []string{d.MainDepartmentID(), d.Departments(d.MainCompanyID())[2].ID}
		for i, dept := range departments {
			limits := fmt.Sprintf(", scopes: [{companyId: %s, departmentIds: [%s]}]", d.MainCompanyID(), dept)
			keys = append(keys, k.Key(fmt.Sprint("key", i), "owner", limits))
		}
		s.APIKeysFile = k.Write()
	})
	d := w.Sim.Data()
	for i, dept := range departments {
		query := fmt.Sprintf(`mutation { executeWorkflow(input: {id: %q, idempotencyKey: "nightly"}) { jobs { id } } }`, d.WorkflowIDs(dept)[0])
		for range 2 {
			a := w.Ask(query, e2e.Request{Header: e2e.MergeHeaders(keys[i], e2e.ScopeHeader(d.MainCompanyID(), dept))})
			if len(a.Errors) > 0 {
				t.Errorf("answered %s", a.Body)
			}
		}
		if n := w.Sim.Counts()[e2e.Execute]; n != i+1 {
			t.Errorf("%d executions in %d departments", n, i+1)
		}
	}
}

// TestLargeResultsAreStoredOnce verifies that the large result of an API key takes room in Redis once, and is answered again.
func TestLargeResultsAreStoredOnce(t *testing.T) {
	t.Parallel()
	k, store := &e2e.Keyring{T: t}, redistest.Start(t)
	var key map[string]string
	shared := func(s *gateway.Settings, sim *consolesim.Server) {
		if key == nil {
			k.Account("owner", sim.Data().Users()[0])
			key = k.Key("nightly", "owner", fmt.Sprintf(", scopes: [{companyId: %s}]", sim.Data().MainCompanyID()))
		}
		s.APIKeysFile, s.RedisURL = k.Write(), store.URL()
	}
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous, shared)
	second := w.SecondGateway(e2e.WithoutAnonymous, shared)
	job := fmt.Sprintf(`{"id":%q,"name":%q}`, e2e.UnknownID, "the nightly invoices")
	defer w.Sim.Fail(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/execute") },
		consolesim.Fault{After: true, Body: []byte("[" + strings.Repeat(job+",", 999) + job + "]")})()
	d := w.Sim.Data()
	ask := e2e.Request{Header: e2e.MergeHeaders(key, e2e.ScopeHeader(d.MainCompanyID(), d.MainDepartmentID()))}
	first := w.Ask(w.Execution("nightly"), ask)
	if n := strings.Count(string(first.Data), e2e.UnknownID); n != 1000 {
		t.Fatalf("%d jobs in %.200s", n, first.Body)
	}
	for _, a := range []e2e.Answer{w.Ask(w.Execution("nightly"), ask), second.Ask(w.Execution("nightly"), ask)} {
		if string(a.Data) != string(first.Data) {
			t.Errorf("answered %.200s", a.Body)
		}
	}
	if n := w.Sim.Counts()[e2e.Execute]; n != 1 {
		t.Errorf("%d executions", n)
	}
	options, err := redis.ParseURL(store.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	records, err := client.Keys(t.Context(), idempotency.DefaultPrefix+"*").Result()
	if err != nil || len(records) != 2 {
		t.Errorf("%d records, %v", len(records), err)
	}
	var sizes []int
	for _, name := range records {
		record, err := client.HGetAll(t.Context(), name).Result()
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(record["result"])+len(record["sealed"]))
	}
	if slices.Sort(sizes); sizes[0] != 0 || sizes[1] == 0 {
		t.Errorf("results of %d bytes", sizes)
	}
}
