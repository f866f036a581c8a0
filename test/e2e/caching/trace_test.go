package caching

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

func TestTraceColdAndWarm(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	w.Sim.ResetCounts()
	cold, _ := trace(w, e2e.JoinQuery)
	want := e2e.Counts{e2e.Workflows + " loaded": 1, e2e.Packages + " loaded": 1, e2e.Queues + " loaded": 1, e2e.Robots + " loaded": 1}
	if diff := cmp.Diff(want, cold.sources()); diff != "" {
		t.Errorf("cold: - want + got:\n%s", diff)
	}
	x := cold.Extensions.Consoleql
	all := 0
	for _, n := range w.Calls() {
		all += n
	}
	if x.ConsoleCalls != all || x.Cache != "on" || x.DurationMs <= 0 {
		t.Errorf("%d calls were made: %+v", all, x)
	}
	for _, c := range x.Calls {
		if c.Status != 200 || c.Code != "" || c.AgeMs == nil || *c.AgeMs <= 0 || c.StartMs < 0 || c.StartMs+c.DurationMs > x.DurationMs {
			t.Errorf("cold: %+v in %v ms", c, x.DurationMs)
		}
	}
	for _, b := range x.Batches {
		if b.Keys == 0 || b.Kept != 0 {
			t.Errorf("cold: %+v", b)
		}
	}
	if len(x.Batches) != 3 {
		t.Errorf("cold: batches %+v", x.Batches)
	}

	w.Sim.ResetCounts()
	warm, _ := trace(w, e2e.JoinQuery)
	w.CheckNoCalls()
	x = warm.Extensions.Consoleql
	if x.ConsoleCalls != 0 || len(x.Calls) == 0 || len(x.Batches) != 3 {
		t.Errorf("warm: %+v", x)
	}
	for _, c := range x.Calls {
		if c.Source != "memory" || c.Status != 0 || c.AgeMs == nil {
			t.Errorf("warm: %+v", c)
		}
	}
	for _, b := range x.Batches {
		if b.Keys != b.Kept {
			t.Errorf("warm: %+v", b)
		}
	}
	if cold.Extensions.Freshness["workflows"].AgeMs >= warm.Extensions.Freshness["workflows"].AgeMs {
		t.Errorf("the answer has not aged: %+v, then %+v", cold.Extensions.Freshness, warm.Extensions.Freshness)
	}
	if string(cold.Data) != string(warm.Data) {
		t.Error("the answers differ")
	}
	if a := w.Ask(e2e.JoinQuery, e2e.Request{}); bytes.Contains(a.Body, []byte(`"extensions"`)) {
		t.Errorf("without the header: %s", a.Body)
	}
	refreshed, _ := trace(w, e2e.JoinQuery, map[string]string{"Cache-Control": "no-cache"})
	if n := refreshed.Extensions.Consoleql.ConsoleCalls; n != 4 {
		t.Errorf("with no-cache: %d calls", n)
	}
}

func TestTraceWithoutCache(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for range 2 {
		got, _ := trace(w, e2e.JoinQuery)
		x := got.Extensions.Consoleql
		if x.Cache != "off" || x.ConsoleCalls != 4 || len(x.Batches) != 3 {
			t.Errorf("%+v", x)
		}
		if f, ok := got.Extensions.Freshness["workflows"]; !ok || f.Stale || f.AgeMs > x.DurationMs {
			t.Errorf("%+v in %v ms", got.Extensions.Freshness, x.DurationMs)
		}
	}
}

// TestTraceByEveryTransport also verifies the format: no secrets, and plain numbers.
func TestTraceByEveryTransport(t *testing.T) {
	t.Parallel()
	for name, adjust := range map[string]func(*gateway.Settings, *consolesim.Server){"cache on": e2e.WithCache, "cache off": func(*gateway.Settings, *consolesim.Server) {}} {
		t.Run(name, func(t *testing.T) {
			w := e2e.NewWorld(t, consolesim.Options{}, adjust)
			user, _ := w.Sim.DefaultUser()
			who := w.TokenHeader(user)
			token := strings.TrimPrefix(who["Authorization"], "Bearer ")

			_, body := w.Send(http.MethodGet, "/graphql?query="+url.QueryEscape(e2e.ListQuery), "", e2e.MergeHeaders(who, traceHeader("1")))
			if n := report(w, body).Extensions.Consoleql.ConsoleCalls; n != 1 {
				t.Errorf("GET: %s", body)
			}
			if long := regexp.MustCompile(`Ms":\d+\.\d{4,}`).Find(body); long != nil || bytes.Contains(body, []byte(token)) || bytes.Contains(body, []byte("PageSize")) {
				t.Errorf("%s in %s", long, body)
			}

			id := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
			got, a := trace(w, fmt.Sprintf(`mutation { updateWorkflow(input: {id: %q, priority: 7}) { workflow { queue { name } } } }`, id), who)
			x := got.Extensions.Consoleql
			if len(a.Errors) > 0 || len(x.Calls) < 2 || x.Calls[0].Operation != "PATCH /openapi/workflows/{workflowId}" || x.Calls[0].Source != "loaded" || x.Calls[0].Status != 200 {
				t.Errorf("mutation: %s", a.Body)
			}

			var text bytes.Buffer
			file, _ := e2e.RandomFile(1000)
			contentType, write := e2e.Form(&text, e2e.UploadQuery, file)
			if err := write(); err != nil {
				t.Fatal(err)
			}
			_, body = w.Send(http.MethodPost, "/graphql", text.String(), e2e.MergeHeaders(traceHeader("1"), map[string]string{"Content-Type": contentType}))
			if x := report(w, body).Extensions.Consoleql; x.ConsoleCalls == 0 || x.Calls[0].Operation != "PUT /openapi/packages" {
				t.Errorf("multipart: %s", body)
			}
		})
	}
}

func TestTraceOfFailedCall(t *testing.T) {
	t.Parallel()
	for name, adjust := range map[string]func(*gateway.Settings, *consolesim.Server){"cache on": e2e.WithCache, "cache off": func(*gateway.Settings, *consolesim.Server) {}} {
		t.Run(name, func(t *testing.T) {
			w := e2e.NewWorld(t, consolesim.Options{}, adjust)
			defer w.Sim.Fail(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/openapi/queues") }, consolesim.Fault{Status: 403})()
			got, a := trace(w, `{ workflows(first: 50) { nodes { name queue { name } } } }`)
			if len(a.Errors) == 0 {
				t.Fatalf("%s", a.Body)
			}
			x := got.Extensions.Consoleql
			refused := 0
			for _, c := range x.Calls {
				if strings.HasPrefix(c.Operation, e2e.Queues) {
					if c.Status != 403 || c.Code != "FORBIDDEN" || c.Source != "loaded" || c.AgeMs != nil {
						t.Errorf("%+v", c)
					}
					refused++
				}
			}
			if refused == 0 || x.ConsoleCalls != len(x.Calls) {
				t.Errorf("%+v", x)
			}
		})
	}
}

// TestFreshnessOfFields verifies that a field's age is that of the oldest
// entry that it reads itself.
func TestFreshnessOfFields(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, sim *consolesim.Server) {
		e2e.WithCache(s, sim)
		s.CacheLife["queues"] = time.Millisecond
		s.CacheStaleWhileRevalidate = map[string]time.Duration{"queues": time.Hour}
	})
	const both = `{ __typename w: workflows(first: 5) { nodes { name } } q: queues(first: 5) { nodes { name } } }`
	first, _ := trace(w, both)
	time.Sleep(20 * time.Millisecond) // the queues' lifetime has ended
	second, _ := trace(w, both)
	f := second.Extensions.Freshness
	if len(f) != 2 || f["w"].Stale || !f["q"].Stale || f["q"].AgeMs < 20 || f["w"].AgeMs <= first.Extensions.Freshness["w"].AgeMs {
		t.Errorf("%+v, then %+v", first.Extensions.Freshness, f)
	}
	if n := second.sources()[e2e.Queues+" stale"]; n != 1 {
		t.Errorf("%v", second.sources())
	}
	joined, _ := trace(w, `{ w: workflows(first: 5) { nodes { name } } all: queues(first: 5) { nodes { workflows(first: 1) { totalCount } } } }`)
	if f := joined.Extensions.Freshness; f["all"].AgeMs < f["w"].AgeMs {
		t.Errorf("what is joined is younger than its parts: %+v", f)
	}
}

// TestPlanMakesNoCalls verifies that a plan makes no calls, and has the errors of the
// operation.
func TestPlanMakesNoCalls(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	id := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	w.Sim.ResetCounts()
	for name, query := range map[string]string{
		"a query":    e2e.JoinQuery,
		"a mutation": fmt.Sprintf(`mutation { executeWorkflow(input: {id: %q}) { jobs { id } } }`, id),
		"nothing":    `{ __typename }`,
	} {
		a := w.Ask(query, e2e.Request{Header: traceHeader("plan")})
		got := report(w, a.Body)
		p := got.Extensions.Consoleql.Plan
		if len(a.Errors) > 0 || string(got.Data) != "null" || p == nil || p.Depth == 0 || (p.ConsoleCalls == 0) != (name == "nothing") {
			t.Errorf("%s: %s", name, a.Body)
		}
	}
	for query, code := range map[string]string{
		`{ nope }`: "GRAPHQL_VALIDATION_FAILED",
		`{`:        "GRAPHQL_PARSE_FAILED",
		`{ workflows(first: -1) { totalCount } }`:                                                        "BAD_USER_INPUT",
		`{ rootDepartment { ` + strings.Repeat("parent { ", 20) + "id" + strings.Repeat(" }", 21) + ` }`: "QUERY_TOO_DEEP",
	} {
		if e := w.ExpectRefusal(query, e2e.Request{Header: traceHeader("plan")}); e.Extensions.Code != code {
			t.Errorf("%s: %+v", query, e)
		}
	}
	w.CheckNoCalls()
}

// TestPlanBoundsCalls compares plans with the simulator's counts.
func TestPlanBoundsCalls(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{"list": e2e.ListQuery, "join": e2e.JoinQuery, "tree": e2e.TreeQuery} {
		for _, learned := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, learned %v", name, learned), func(t *testing.T) {
				t.Parallel()
				g := &e2e.RoundCounter{}
				w := e2e.NewWorld(t, consolesim.Options{}, e2e.Proxy(t, g.OnRequest, g.OnAnswer))
				if learned {
					w.Query(query, nil)
				}
				p := report(w, w.Ask(query, e2e.Request{Header: traceHeader("plan")}).Body).Extensions.Consoleql.Plan
				w.Sim.ResetCounts()
				before := g.Rounds()
				w.Query(query, nil)
				rounds, done, steps := g.Rounds()-before, w.Calls(), make(e2e.Counts)
				all := 0
				for _, n := range done {
					all += n
				}
				for _, s := range p.Steps {
					steps[s.Kind] += s.Calls
				}
				if p.ConsoleCalls < all || steps["workflows"] < done[e2e.Workflows] || steps["robots"] < done[e2e.Robots]+done[e2e.Robot]+done[e2e.WorkflowRobots] || steps["packages"] < done[e2e.Packages]+done[e2e.Pkg] {
					t.Errorf("planned %v, made %v", steps, done)
				}
				// A stalled machine makes more rounds of calls, never fewer.
				if p.Rounds > rounds+1 {
					t.Errorf("planned %d rounds, there were %d", p.Rounds, rounds)
				}
				if learned {
					e2e.CheckRounds(t, p.Rounds, func(*testing.T) int {
						before := g.Rounds()
						w.Query(query, nil)
						return g.Rounds() - before
					})
				}
				if most := map[string]int{"list": 1, "join": 3, "tree": 4}[name]; p.Rounds > most || p.Rounds < most-1 {
					t.Errorf("planned %d rounds, want about %d", p.Rounds, most)
				}
			})
		}
	}
}

func TestTracePolicy(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string][]string{ // with an API key, with a token, without credentials
		"on":      {"", "", ""},
		"api-key": {"", "FORBIDDEN", "FORBIDDEN"},
		"off":     {"FORBIDDEN", "FORBIDDEN", "FORBIDDEN"},
	} {
		t.Run(policy, func(t *testing.T) {
			var key map[string]string
			w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache, func(s *gateway.Settings, sim *consolesim.Server) {
				k := &e2e.Keyring{T: t}
				k.Account("owner", sim.Data().Users()[0])
				key = k.Key("owner", "owner", "")
				s.APIKeysFile, s.Trace = k.Write(), policy
			})
			user, _ := w.Sim.DefaultUser()
			for i, header := range []map[string]string{key, w.TokenHeader(user), nil} {
				for _, value := range []string{"1", "plan"} {
					w.Sim.ResetCounts()
					a := w.Ask(e2e.ListQuery, e2e.Request{Header: e2e.MergeHeaders(header, traceHeader(value))})
					got := ""
					if len(a.Errors) > 0 {
						got = a.Errors[0].Extensions.Code
						w.CheckNoCalls()
					}
					if got != want[i] || (got == "") != bytes.Contains(a.Body, []byte(`"consoleql"`)) || (got == "FORBIDDEN") != (a.Status == http.StatusForbidden) {
						t.Errorf("caller %d, %s: status %d, %s", i, value, a.Status, a.Body)
					}
				}
				if a := w.Ask(e2e.ListQuery, e2e.Request{Header: header}); len(a.Errors) > 0 {
					t.Errorf("caller %d, without the header: %s", i, a.Body)
				}
			}
		})
	}
}

func TestInvalidTraceHeader(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for _, value := range []string{"0", "true"} {
		resp, body := w.Send(http.MethodPost, "/graphql", `{"query":"{ viewer { name } }"}`, e2e.MergeHeaders(e2e.JSONBody, traceHeader(value)))
		if resp.StatusCode != http.StatusBadRequest || !bytes.Contains(body, []byte("BAD_USER_INPUT")) || !bytes.Contains(body, []byte("X-ConsoleQL-Trace")) {
			t.Errorf("%q: status %d, %s", value, resp.StatusCode, body)
		}
	}
	w.CheckNoCalls()
}

// TestTraceOfUnusedCalls verifies that a stale answer includes the time of the failed call.
func TestTraceOfUnusedCalls(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache, func(s *gateway.Settings, _ *consolesim.Server) {
		s.CacheLife["robots"], s.CacheStaleWhileRevalidate = 50*time.Millisecond, gateway.DurationsByKind{"robots": 0}
	})
	w.Query(`{ robots { totalCount } }`, nil)
	time.Sleep(60 * time.Millisecond)
	// This status is not retried: retries may outlast the stale wait of the read on a busy machine.
	defer w.Sim.Fail(nil, consolesim.Fault{Status: 500})()
	got, a := trace(w, `{ robots { totalCount } }`)
	x := got.Extensions.Consoleql
	if len(a.Errors) > 0 || len(x.Calls) != 1 || x.ConsoleCalls != 1 {
		t.Fatalf("%s", a.Body)
	}
	if c := x.Calls[0]; c.Source != "stale" || c.Status != 500 || c.Code != "UPSTREAM_UNAVAILABLE" || c.AgeMs == nil {
		t.Errorf("%+v", c)
	}
	if f := got.Extensions.Freshness["robots"]; !f.Stale || f.AgeMs < 50 {
		t.Errorf("%+v", f)
	}
}

// TestTraceOfETag verifies that the trace contains the read of the current ETag.
func TestTraceOfETag(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithCache)
	id := w.Sim.Data().PackageIDs(w.Sim.Data().MainDepartmentID())[0]
	w.Sim.ResetCounts()
	got, a := trace(w, fmt.Sprintf(`mutation { updatePackage(input: {id: %q, tags: ["y"]}) { __typename } }`, id))
	if n := len(w.Sim.Requests()); len(a.Errors) > 0 || got.Extensions.Consoleql.ConsoleCalls != n || n != 2 {
		t.Errorf("%d calls, and the trace is %s", n, a.Body)
	}
}
