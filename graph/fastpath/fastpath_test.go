package fastpath

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/internal/consolesim"
)

// The operations that docs/performance.md measures.
const (
	listQuery = `{ workflows(first: 50) { nodes { id name priority lastTriggeredAt } } }`
	joinQuery = `{ workflows(first: 50) { nodes { id name package { name lastVersion } queue { name } version { version } robots { name status } } } }`
)

// TestFastPathAnswersAsGqlgenDoes compares the answers byte for byte, also where a
// prototype has to leave the operation to gqlgen.
func TestFastPathAnswersAsGqlgenDoes(t *testing.T) {
	s := newSite(t)
	for _, tt := range []struct {
		name      string
		query     string
		variables map[string]any
		change    func(*prepared)
		left      bool // to gqlgen
		missing   bool // a related entity: only the prototype without loaders leaves it to gqlgen
	}{
		{name: "list", query: listQuery},
		{name: "join", query: joinQuery},
		{name: "odd texts", query: joinQuery, change: func(p *prepared) {
			p.workflows[0].Name = "\"quoted\" \\ <b>&amp;</b> \u2028\u2029\u2030 \x00\x1f\t\r\n 流程 🤖 \x7f"
		}},
		{name: "nothing there", query: joinQuery, change: func(p *prepared) {
			w := p.workflows[1]
			w.AssociatedQueueID, w.LastTriggeredAt, w.Description, w.AssociatedRobotIDs = nil, "", nil, &[]string{}
		}},
		{name: "an empty list", query: joinQuery, change: func(p *prepared) { p.workflows = nil }},
		{name: "fragments and aliases", query: `{ a: workflows(first: 3) { ...C } b: workflows(first: 2, order: ASC) { totalCount nodes { n: name n2: name queue { q: id } ... on Workflow { queue { name } __typename } } } }
			fragment C on WorkflowConnection { __typename nodes { id package { ...P } description } } fragment P on Package { id lastVersion }`},
		{name: "conditions", query: `query($yes: Boolean!, $n: Int) { workflows(first: $n) { nodes { id @skip(if: $yes) name @include(if: $yes) queue @skip(if: $yes) { name } robots { status @skip(if: $yes) } } } }`,
			variables: map[string]any{"yes": true, "n": 4}},
		{name: "a field without a plan", query: `{ workflows(first: 3) { nodes { name tags } } }`, left: true},
		{name: "a root field without a plan", query: `{ workflows(first: 3) { nodes { name } } queues(first: 1) { totalCount } }`, left: true},
		{name: "defer", query: `{ workflows(first: 2) { nodes { name ... @defer { queue { name } } } } }`, left: true},
		{name: "introspection", query: `{ __schema { queryType { name } } }`, left: true},
		{name: "bad input", query: `{ workflows(first: -1) { nodes { name } } }`, left: true},
		{name: "no such queue", query: joinQuery, missing: true, change: func(p *prepared) {
			id := "00000000-0000-4000-8000-000000000001"
			p.workflows[2].AssociatedQueueID = &id
		}},
		{name: "no such robot", query: joinQuery, missing: true, change: func(p *prepared) {
			p.workflows[2].AssociatedRobotIDs = &[]string{"00000000-0000-4000-8000-000000000001"}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			console := s.prepare(t)
			if tt.change != nil {
				tt.change(console)
			}
			want := s.gqlgen(t, console).text(t, tt.query, tt.variables)
			for name, newPrototype := range prototypes() {
				e, path := newPrototype(s, t, console)
				if got := e.text(t, tt.query, tt.variables); got != want {
					t.Errorf("%s:\n%s\ngqlgen:\n%s", name, got, want)
				}
				wantLeft := tt.left || tt.missing && name != "over the loaders"
				if left := path.left.Load() > 0; left != wantLeft {
					t.Errorf("%s: left to gqlgen: %v, want %v", name, left, wantLeft)
				}
			}
		})
	}
}

// TestFastPathAsksWhatGqlgenAsks compares the answers of a console over HTTP, and
// what it was asked for them.
func TestFastPathAsksWhatGqlgenAsks(t *testing.T) {
	s := newSite(t)
	for query, want := range map[string]map[string]int{
		listQuery: {"GET /openapi/workflows": 1},
		joinQuery: {"GET /openapi/workflows": 1, "GET /openapi/packages": 1, "GET /openapi/queues": 1, "GET /openapi/robots": 1},
	} {
		expected := s.gqlgen(t, s.client).text(t, query, nil)
		for name, newPrototype := range prototypes() {
			e, path := newPrototype(s, t, s.client)
			s.sim.ResetCounts()
			if got := e.text(t, query, nil); got != expected || path.left.Load() > 0 {
				t.Errorf("%s:\n%s\ngqlgen:\n%s", name, got, expected)
			}
			if diff := cmp.Diff(want, s.sim.Counts()); diff != "" {
				t.Errorf("%s: console calls, - wanted + made:\n%s", name, diff)
			}
		}
	}
}

// TestFailuresCostNothingTwice leaves an operation to gqlgen when the console has refused
// a part of it: over the loaders, nothing is asked again.
func TestFailuresCostNothingTwice(t *testing.T) {
	s := newSite(t)
	defer s.sim.Fail(func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/queues") }, consolesim.Fault{Status: http.StatusForbidden})()
	s.sim.ResetCounts()
	want, calls := s.gqlgen(t, s.client).text(t, joinQuery, nil), s.sim.Counts()
	s.sim.ResetCounts()
	e, path := s.overLoaders(t, s.client)
	if got := e.text(t, joinQuery, nil); got != want || path.left.Load() != 1 || !strings.Contains(want, `"errors"`) {
		t.Errorf("left to gqlgen %d times:\n%s\ngqlgen:\n%s", path.left.Load(), got, want)
	}
	if diff := cmp.Diff(calls, s.sim.Counts()); diff != "" {
		t.Errorf("console calls, - gqlgen + prototype:\n%s", diff)
	}
}

// TestFastPathCompilesOnce counts compilations.
func TestFastPathCompilesOnce(t *testing.T) {
	s := newSite(t)
	for name, newPrototype := range prototypes() {
		e, path := newPrototype(s, t, s.prepare(t))
		for range 3 {
			e.text(t, joinQuery, nil)
		}
		if n := path.compiled.Load(); n != 1 {
			t.Errorf("%s: the join was compiled %d times", name, n)
		}
	}
}

// TestFastPathHeedsVariables asks one document with one set of variables after the other.
func TestFastPathHeedsVariables(t *testing.T) {
	const query = `query($no: Boolean!) { workflows(first: 2) { nodes { id name @skip(if: $no) queue @skip(if: $no) { name } } } }`
	s := newSite(t)
	console := s.prepare(t)
	for name, newPrototype := range prototypes() {
		e, path := newPrototype(s, t, console)
		for _, no := range []bool{true, false, true} {
			variables := map[string]any{"no": no}
			if got, want := e.text(t, query, variables), s.gqlgen(t, console).text(t, query, variables); got != want || path.left.Load() > 0 {
				t.Errorf("%s:\n%s\ngqlgen:\n%s", name, got, want)
			}
		}
	}
}

// prototypes make an engine with each.
func prototypes() map[string]func(*site, testing.TB, loader.Console) (*engine, *fastPath) {
	return map[string]func(*site, testing.TB, loader.Console) (*engine, *fastPath){
		"over the loaders": (*site).overLoaders,
		"over batches":     (*site).overBatches,
	}
}
