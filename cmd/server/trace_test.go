package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// traced is what the extensions tell of an operation.
type traced struct {
	Data       json.RawMessage
	Extensions struct {
		Consoleql *struct {
			Calls []struct {
				Operation, Source, Code string
				StartMs, DurationMs     float64
				Status                  int
				AgeMs                   *float64
			}
			ConsoleCalls int
			Batches      []struct {
				Kind       string
				Keys, Kept int
			}
			DurationMs float64
			Cache      string
			Plan       *plan
		}
		Freshness map[string]struct {
			AgeMs float64
			Stale bool
		}
	}
}

type plan struct {
	Depth, Rounds, ConsoleCalls int
	Steps                       []struct {
		Round, Entities, Calls int
		Kind, Field, How       string
	}
}

func asking(value string) map[string]string { return map[string]string{"X-ConsoleQL-Trace": value} }

// trace asks with the header and fails the test where there is no account.
func (w *world) trace(query string, headers ...map[string]string) (traced, answer) {
	w.t.Helper()
	a := w.ask(query, request{header: with(append(headers, asking("1"))...)})
	return w.account(a.Body), a
}

func (w *world) account(body []byte) traced {
	w.t.Helper()
	told := decode[traced](w.t, body)
	if told.Extensions.Consoleql == nil {
		w.t.Fatalf("no account: %s", body)
	}
	return told
}

// sources counts the calls by operation and source.
func (t traced) sources() counts {
	n := make(counts)
	for _, c := range t.Extensions.Consoleql.Calls {
		n[c.Operation+" "+c.Source]++
	}
	return n
}

func TestTraceColdThenWarm(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, cached)
	w.sim.ResetCounts()
	cold, _ := w.trace(joinQuery)
	want := counts{workflows + " loaded": 1, packages + " loaded": 1, queues + " loaded": 1, robots + " loaded": 1}
	if diff := cmp.Diff(want, cold.sources()); diff != "" {
		t.Errorf("cold: - wanted + told:\n%s", diff)
	}
	x := cold.Extensions.Consoleql
	all := 0
	for _, n := range w.calls() {
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

	w.sim.ResetCounts()
	warm, _ := w.trace(joinQuery)
	w.noCalls()
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
	if a := w.ask(joinQuery, request{}); bytes.Contains(a.Body, []byte(`"extensions"`)) {
		t.Errorf("without the header: %s", a.Body)
	}
	refreshed, _ := w.trace(joinQuery, map[string]string{"Cache-Control": "no-cache"})
	if n := refreshed.Extensions.Consoleql.ConsoleCalls; n != 4 {
		t.Errorf("with no-cache: %d calls", n)
	}
}

func TestTraceWithoutCache(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	for range 2 {
		told, _ := w.trace(joinQuery)
		x := told.Extensions.Consoleql
		if x.Cache != "off" || x.ConsoleCalls != 4 || len(x.Batches) != 3 {
			t.Errorf("%+v", x)
		}
		if f, ok := told.Extensions.Freshness["workflows"]; !ok || f.Stale || f.AgeMs > x.DurationMs {
			t.Errorf("%+v in %v ms", told.Extensions.Freshness, x.DurationMs)
		}
	}
}

// TestTraceByEveryTransport also looks at the form: nothing secret, and plain numbers.
func TestTraceByEveryTransport(t *testing.T) {
	for name, adjust := range map[string]func(*settings, *consolesim.Server){"cache on": cached, "cache off": func(*settings, *consolesim.Server) {}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, consolesim.Options{}, adjust)
			user, _ := w.sim.DefaultUser()
			who := w.as(user)
			token := strings.TrimPrefix(who["Authorization"], "Bearer ")

			_, body := w.send(http.MethodGet, "/graphql?query="+url.QueryEscape(listQuery), "", with(who, asking("1")))
			if n := w.account(body).Extensions.Consoleql.ConsoleCalls; n != 1 {
				t.Errorf("GET: %s", body)
			}
			if long := regexp.MustCompile(`Ms":\d+\.\d{4,}`).Find(body); long != nil || bytes.Contains(body, []byte(token)) || bytes.Contains(body, []byte("PageSize")) {
				t.Errorf("%s in %s", long, body)
			}

			id := w.sim.Data().WorkflowIDs(w.sim.Data().MainDepartmentID())[0]
			told, a := w.trace(fmt.Sprintf(`mutation { updateWorkflow(input: {id: %q, priority: 7}) { workflow { queue { name } } } }`, id), who)
			x := told.Extensions.Consoleql
			if len(a.Errors) > 0 || len(x.Calls) < 2 || x.Calls[0].Operation != "PATCH /openapi/workflows/{workflowId}" || x.Calls[0].Source != "loaded" || x.Calls[0].Status != 200 {
				t.Errorf("mutation: %s", a.Body)
			}

			var text bytes.Buffer
			file, _ := noise(1000)
			contentType, write := form(&text, uploadQuery, file)
			if err := write(); err != nil {
				t.Fatal(err)
			}
			_, body = w.send(http.MethodPost, "/graphql", text.String(), with(asking("1"), map[string]string{"Content-Type": contentType}))
			if x := w.account(body).Extensions.Consoleql; x.ConsoleCalls == 0 || x.Calls[0].Operation != "PUT /openapi/packages" {
				t.Errorf("multipart: %s", body)
			}
		})
	}
}

func TestTraceOfACallThatFails(t *testing.T) {
	for name, adjust := range map[string]func(*settings, *consolesim.Server){"cache on": cached, "cache off": func(*settings, *consolesim.Server) {}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, consolesim.Options{}, adjust)
			defer w.sim.Fail(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/openapi/queues") }, consolesim.Fault{Status: 403})()
			told, a := w.trace(`{ workflows(first: 50) { nodes { name queue { name } } } }`)
			if len(a.Errors) == 0 {
				t.Fatalf("%s", a.Body)
			}
			x := told.Extensions.Consoleql
			refused := 0
			for _, c := range x.Calls {
				if strings.HasPrefix(c.Operation, queues) {
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

// TestFreshnessIsThatOfWhatAFieldIsMadeOf: a field is as old as the oldest of what it
// reads, and not as what others read.
func TestFreshnessIsThatOfWhatAFieldIsMadeOf(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, func(s *settings, sim *consolesim.Server) {
		cached(s, sim)
		s.CacheLife["queues"] = time.Millisecond
		s.CacheStaleWhileRevalidate = map[string]time.Duration{"queues": time.Hour}
	})
	const both = `{ __typename w: workflows(first: 5) { nodes { name } } q: queues(first: 5) { nodes { name } } }`
	first, _ := w.trace(both)
	time.Sleep(20 * time.Millisecond) // the queues' life is over
	second, _ := w.trace(both)
	f := second.Extensions.Freshness
	if len(f) != 2 || f["w"].Stale || !f["q"].Stale || f["q"].AgeMs < 20 || f["w"].AgeMs <= first.Extensions.Freshness["w"].AgeMs {
		t.Errorf("%+v, then %+v", first.Extensions.Freshness, f)
	}
	if n := second.sources()[queues+" stale"]; n != 1 {
		t.Errorf("%v", second.sources())
	}
	joined, _ := w.trace(`{ w: workflows(first: 5) { nodes { name } } all: queues(first: 5) { nodes { workflows(first: 1) { totalCount } } } }`)
	if f := joined.Extensions.Freshness; f["all"].AgeMs < f["w"].AgeMs {
		t.Errorf("what is joined is younger than its parts: %+v", f)
	}
}

// TestPlanRunsNothing: and refuses what is refused when it is run.
func TestPlanRunsNothing(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, cached)
	id := w.sim.Data().WorkflowIDs(w.sim.Data().MainDepartmentID())[0]
	w.sim.ResetCounts()
	for name, query := range map[string]string{
		"a query":    joinQuery,
		"a mutation": fmt.Sprintf(`mutation { executeWorkflow(input: {id: %q}) { jobs { id } } }`, id),
		"nothing":    `{ __typename }`,
	} {
		a := w.ask(query, request{header: asking("plan")})
		told := w.account(a.Body)
		p := told.Extensions.Consoleql.Plan
		if len(a.Errors) > 0 || string(told.Data) != "null" || p == nil || p.Depth == 0 || (p.ConsoleCalls == 0) != (name == "nothing") {
			t.Errorf("%s: %s", name, a.Body)
		}
	}
	for query, code := range map[string]string{
		`{ nope }`: "GRAPHQL_VALIDATION_FAILED",
		`{`:        "GRAPHQL_PARSE_FAILED",
		`{ workflows(first: -1) { totalCount } }`:                                                        "BAD_USER_INPUT",
		`{ rootDepartment { ` + strings.Repeat("parent { ", 20) + "id" + strings.Repeat(" }", 21) + ` }`: "QUERY_TOO_DEEP",
	} {
		if e := w.refused(query, request{header: asking("plan")}); e.Extensions.Code != code {
			t.Errorf("%s: %+v", query, e)
		}
	}
	w.noCalls()
}

// TestPlanIsNoLessThanWhatIsDone compares plans with what the simulator then counts.
func TestPlanIsNoLessThanWhatIsDone(t *testing.T) {
	for name, query := range map[string]string{"list": listQuery, "join": joinQuery, "tree": treeQuery} {
		for _, learned := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, learned %v", name, learned), func(t *testing.T) {
				t.Parallel()
				g := &gate{}
				w := newWorld(t, consolesim.Options{}, proxied(t, g.hold, g.answered))
				if learned {
					w.query(query, nil)
				}
				p := w.account(w.ask(query, request{header: asking("plan")}).Body).Extensions.Consoleql.Plan
				w.sim.ResetCounts()
				before := g.rounds()
				w.query(query, nil)
				rounds, done, steps := g.rounds()-before, w.calls(), make(counts)
				all := 0
				for _, n := range done {
					all += n
				}
				for _, s := range p.Steps {
					steps[s.Kind] += s.Calls
				}
				if p.ConsoleCalls < all || steps["workflows"] < done[workflows] || steps["robots"] < done[robots]+done[robot]+done[workflowRobots] || steps["packages"] < done[packages]+done[pkg] {
					t.Errorf("planned %v, made %v", steps, done)
				}
				// A machine that stands still makes more rounds of calls, never fewer.
				if p.Rounds > rounds+1 {
					t.Errorf("planned %d rounds, there were %d", p.Rounds, rounds)
				}
				if learned {
					atMostRounds(t, p.Rounds, func(*testing.T) int {
						before := g.rounds()
						w.query(query, nil)
						return g.rounds() - before
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
	for policy, want := range map[string][]string{ // of a key's holder, of a token's, of anybody
		"on":      {"", "", ""},
		"api-key": {"", "FORBIDDEN", "FORBIDDEN"},
		"off":     {"FORBIDDEN", "FORBIDDEN", "FORBIDDEN"},
	} {
		t.Run(policy, func(t *testing.T) {
			var key map[string]string
			w := newWorld(t, consolesim.Options{}, cached, func(s *settings, sim *consolesim.Server) {
				k := &keyring{t: t}
				k.account("owner", sim.Data().Users()[0])
				key = k.key("owner", "owner", "")
				s.APIKeysFile, s.Trace = k.write(), policy
			})
			user, _ := w.sim.DefaultUser()
			for i, header := range []map[string]string{key, w.as(user), nil} {
				for _, value := range []string{"1", "plan"} {
					w.sim.ResetCounts()
					a := w.ask(listQuery, request{header: with(header, asking(value))})
					got := ""
					if len(a.Errors) > 0 {
						got = a.Errors[0].Extensions.Code
						w.noCalls()
					}
					if got != want[i] || (got == "") != bytes.Contains(a.Body, []byte(`"consoleql"`)) || (got == "FORBIDDEN") != (a.Status == http.StatusForbidden) {
						t.Errorf("caller %d, %s: status %d, %s", i, value, a.Status, a.Body)
					}
				}
				if a := w.ask(listQuery, request{header: header}); len(a.Errors) > 0 {
					t.Errorf("caller %d, without the header: %s", i, a.Body)
				}
			}
		})
	}
}

func TestTraceHeaderThatSaysNothing(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	for _, value := range []string{"0", "true"} {
		resp, body := w.send(http.MethodPost, "/graphql", `{"query":"{ viewer { name } }"}`, with(jsonBody, asking(value)))
		if resp.StatusCode != http.StatusBadRequest || !bytes.Contains(body, []byte("BAD_USER_INPUT")) || !bytes.Contains(body, []byte("X-ConsoleQL-Trace")) {
			t.Errorf("%q: status %d, %s", value, resp.StatusCode, body)
		}
	}
	w.noCalls()
}

// TestTraceOfCallsInVain: what is answered from before was waited for all the same.
func TestTraceOfCallsInVain(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, cached, func(s *settings, _ *consolesim.Server) {
		s.CacheLife["robots"], s.CacheStaleWhileRevalidate = 50*time.Millisecond, durationsByKind{"robots": 0}
	})
	w.query(`{ robots { totalCount } }`, nil)
	time.Sleep(60 * time.Millisecond)
	defer w.sim.Fail(nil, consolesim.Fault{Status: 503})()
	told, a := w.trace(`{ robots { totalCount } }`)
	x := told.Extensions.Consoleql
	if len(a.Errors) > 0 || len(x.Calls) != 1 || x.ConsoleCalls != 1 {
		t.Fatalf("%s", a.Body)
	}
	if c := x.Calls[0]; c.Source != "stale" || c.Status != 503 || c.Code != "UPSTREAM_UNAVAILABLE" || c.AgeMs == nil {
		t.Errorf("%+v", c)
	}
	if f := told.Extensions.Freshness["robots"]; !f.Stale || f.AgeMs < 50 {
		t.Errorf("%+v", f)
	}
}

// TestTraceOfAnETag: a change that needs the present one asks for it.
func TestTraceOfAnETag(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, cached)
	id := w.sim.Data().PackageIDs(w.sim.Data().MainDepartmentID())[0]
	w.sim.ResetCounts()
	told, a := w.trace(fmt.Sprintf(`mutation { updatePackage(input: {id: %q, tags: ["y"]}) { __typename } }`, id))
	if n := len(w.sim.Requests()); len(a.Errors) > 0 || told.Extensions.Consoleql.ConsoleCalls != n || n != 2 {
		t.Errorf("%d calls, and told of %s", n, a.Body)
	}
}
