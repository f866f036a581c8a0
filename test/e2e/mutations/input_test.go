package mutations

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// wrongInput is an operation that must be refused before any console call.
type wrongInput struct {
	name, query string
	variables   map[string]any
	code        string
	argument    string // expected extensions.argument, if the code is BAD_USER_INPUT
	message     string
}

// wrongInputs collects them.
type wrongInputs struct{ all []wrongInput }

func (w *wrongInputs) bad(name, query, argument, says string, variables map[string]any) {
	w.all = append(w.all, wrongInput{name, query, variables, "BAD_USER_INPUT", argument, says})
}

func (w *wrongInputs) invalid(name, query, says string, variables map[string]any) {
	w.all = append(w.all, wrongInput{name, query, variables, "GRAPHQL_VALIDATION_FAILED", "", says})
}

func (w *wrongInputs) ids() {
	for _, field := range []string{"company", "department", "package", "queue", "robot", "workflow", "workflowLayout"} {
		w.bad(field+" by no GUID", fmt.Sprintf(`{ %s(id: "42") { name } }`, field), "id", `"42"`, nil)
		w.bad(field+" by a number", fmt.Sprintf(`{ %s(id: 42) { name } }`, field), "id", "42", nil)
		w.bad(field+" by a path", fmt.Sprintf(`{ %s(id: "../queues/11111111-1111-4111-8111-111111") { name } }`, field), "id", "GUID", nil)
		w.bad(field+" by a variable", fmt.Sprintf(`query($i: ID!) { %s(id: $i) { name } }`, field), "id", "no-guid", map[string]any{"i": "no-guid"})
		w.bad(field+" by an empty one", fmt.Sprintf(`{ %s(id: "") { name } }`, field), "id", "GUID", nil)
		w.invalid(field+" by nothing", fmt.Sprintf(`{ %s { name } }`, field), `"id"`, nil)
		w.invalid(field+" by null", fmt.Sprintf(`{ %s(id: null) { name } }`, field), "", nil)
		w.invalid(field+" by a variable left out", fmt.Sprintf(`query($i: ID!) { %s(id: $i) { name } }`, field), "", nil)
	}
}

func (w *wrongInputs) lists() {
	for _, list := range []string{"packages", "queues", "robots", "workflows", "workflowLayouts"} {
		in := func(arguments string) string { return fmt.Sprintf(`{ %s(%s) { nodes { id } } }`, list, arguments) }
		w.bad(list+" first -1", in(`first: -1`), "first", "-1", nil)
		w.bad(list+" first 501", in(`first: 501`), "first", "501", nil)
		w.bad(list+" first by a variable", fmt.Sprintf(`query($n: Int) { %s(first: $n) { totalCount } }`, list), "first", "1000", map[string]any{"n": 1000})
		w.bad(list+" offset -1", in(`offset: -1`), "offset", "-1", nil)
		w.bad(list+" offset too far", in(`offset: 2147483647`), "offset", "2147483647", nil)
		w.bad(list+" offset with after", in(`offset: 0, after: "`+base64.RawURLEncoding.EncodeToString([]byte("position:3"))+`"`), "offset", "after", nil)
		for name, cursor := range map[string]string{
			"empty": "", "junk": "!!!", "plain": "3", "negative": base64.RawURLEncoding.EncodeToString([]byte("position:-3")),
			"large": base64.RawURLEncoding.EncodeToString([]byte("position:99999999999999999999")), "no number": base64.RawURLEncoding.EncodeToString([]byte("position:x")),
			"no prefix": base64.RawURLEncoding.EncodeToString([]byte("3")),
		} {
			w.bad(list+" after "+name, in(fmt.Sprintf("after: %q", cursor)), "after", "cursor", nil)
		}
		for _, text := range []string{"name", "searchString"} {
			w.bad(list+" control in "+text, in(fmt.Sprintf(`filter: {%s: "a\u0000b"}`, text)), "filter."+text, "control", nil)
			w.bad(list+" line break in "+text, fmt.Sprintf(`query($f: %s) { %s(filter: $f) { totalCount } }`, e2e.FilterOf(list), list), "filter."+text, "control",
				map[string]any{"f": map[string]any{text: "a\r\nX-Header: b"}})
			w.bad(list+" C1 control in "+text, in(fmt.Sprintf(`filter: {%s: "a\u0085b"}`, text)), "filter."+text, "control", nil)
		}
		w.bad(list+" after a long cursor", fmt.Sprintf(`query($a: String) { %s(after: $a) { totalCount } }`, list), "after", "cursor",
			map[string]any{"a": base64.RawURLEncoding.EncodeToString([]byte("position:" + strings.Repeat("0", 600_000) + "3"))})
		for _, text := range []string{"name", "searchString"} {
			w.bad(list+" long "+text, fmt.Sprintf(`query($f: %s) { %s(filter: $f) { totalCount } }`, e2e.FilterOf(list), list), "filter."+text, "is longer than 1000 bytes",
				map[string]any{"f": map[string]any{text: strings.Repeat("n", 700_000)}})
		}
		w.invalid(list+" junk order", in(`order: SIDEWAYS`), "SIDEWAYS", nil)
		w.invalid(list+" junk order in a variable", fmt.Sprintf(`query($o: SortOrder) { %s(order: $o) { totalCount } }`, list), "", map[string]any{"o": "SIDEWAYS"})
		w.invalid(list+" order as text", in(`order: "ASC"`), "", nil)
		w.invalid(list+" order in lower case in a variable", fmt.Sprintf(`query($o: SortOrder) { %s(order: $o) { totalCount } }`, list), "$o: is no SortOrder", map[string]any{"o": "asc"})
		w.invalid(list+" first as text", in(`first: "3"`), "", nil)
		w.invalid(list+" first with a fraction", in(`first: 1.5`), "", nil)
		w.invalid(list+" unknown argument", in(`last: 3`), "last", nil)
		w.invalid(list+" unknown filter", in(`filter: {colour: "red"}`), "colour", nil)
		w.invalid(list+" include versions", in(`filter: {includeVersions: true}`), "includeVersions", nil)
	}
}

func (w *wrongInputs) filters() {
	for _, list := range []string{"queues", "robots", "workflows"} {
		for _, field := range []string{"associatedQueueId", "packageId", "packageVersionId"} {
			w.bad(list+" by "+field, fmt.Sprintf(`{ %s(filter: {%s: "x"}) { totalCount } }`, list, field), "filter."+field, `"x"`, nil)
			w.bad(list+" by a variable for "+field, fmt.Sprintf(`query($f: %s) { %s(filter: $f) { totalCount } }`, e2e.FilterOf(list), list), "filter."+field, `"x"`,
				map[string]any{"f": map[string]any{field: "x"}})
		}
	}
	for _, field := range []string{"startTime", "endTime"} {
		w.bad("packages by "+field, fmt.Sprintf(`{ packages(filter: {%s: "yesterday"}) { totalCount } }`, field), "filter."+field, "RFC 3339", nil)
		w.bad("packages by a number as "+field, fmt.Sprintf(`{ packages(filter: {%s: 3}) { totalCount } }`, field), "filter."+field, "RFC 3339", nil)
	}
	w.bad("companies by a long name", `query($n: String) { companies(name: $n) { name } }`, "name", "is longer than 1000 bytes", map[string]any{"n": strings.Repeat("n", 700_000)})
	w.bad("companies by a control character", `{ companies(name: "a\u0007") { name } }`, "name", "control", nil)
}

// TestInputIsCheckedBeforeCalls sends all kinds of invalid arguments in all
// places.
func TestInputIsCheckedBeforeCalls(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	var tests wrongInputs
	tests.ids()
	tests.lists()
	tests.filters()
	for _, tt := range tests.all {
		t.Run(tt.name, func(t *testing.T) {
			w.Sim.ResetCounts()
			a := w.Ask(tt.query, e2e.Request{Variables: tt.variables})
			if len(a.Errors) == 0 {
				t.Fatalf("answered %s", a.Body)
			}
			e := a.Errors[0]
			if e.Extensions.Code != tt.code || !strings.Contains(e.Message, tt.message) {
				t.Errorf("want %s saying %q: %s", tt.code, tt.message, a.Body)
			}
			if tt.argument != "" {
				if e.Extensions.Argument != tt.argument || !strings.HasPrefix(e.Message, tt.argument+": ") {
					t.Errorf("does not name %s: %s", tt.argument, a.Body)
				}
				if len(a.Errors) != 1 || e.Path != nil || a.Data != nil {
					t.Errorf("is no request error: %s", a.Body)
				}
				if len(e.Locations) != 1 || e.Locations[0].Line != 1 {
					t.Errorf("locations %v", e.Locations)
				}
			}
			if len(a.Body) > 1000 {
				t.Errorf("%d bytes are answered", len(a.Body))
			}
			w.CheckNoCalls()
			w.CheckNoInternals(a)
		})
	}
}

// TestBadArgumentIsRequestError verifies that there is one error with the argument's
// location, and no data. The status is an error for clients that accept
// application/graphql-response+json.
func TestBadArgumentIsRequestError(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	id := w.Sim.Data().WorkflowIDs(w.Sim.Data().MainDepartmentID())[0]
	for argument, bad := range map[string]string{
		"filter.packageId": `queues(filter: {packageId: "q"}) { totalCount }`,
		"filter.name":      `queues(filter: {name: "\u0000"}) { totalCount }`,
		"first":            `queues(first: 501) { totalCount }`,
		"id":               `queue(id: "q") { name }`,
		"after":            `queues(after: "!") { totalCount }`,
		"filter.startTime": `packages(filter: {startTime: "2026-11-28T08:00:00"}) { totalCount }`,
		"filter.endTime":   `packages(filter: {endTime: "2026-11-28 08:00:00"}) { totalCount }`,
	} {
		for media, status := range map[string]int{"application/json": http.StatusOK, "application/graphql-response+json": http.StatusBadRequest} {
			t.Run(argument+" as "+media, func(t *testing.T) {
				w.Sim.ResetCounts()
				a := w.Ask(fmt.Sprintf(`{ a: workflow(id: %q) { name } b: %s }`, id, bad), e2e.Request{Header: map[string]string{"Accept": media}})
				if a.Status != status || len(a.Errors) != 1 || strings.Contains(string(a.Body), `"data"`) {
					t.Fatalf("status %d: %s", a.Status, a.Body)
				}
				e := a.Errors[0]
				if e.Path != nil || e.Extensions.Code != "BAD_USER_INPUT" || e.Extensions.Argument != argument || len(e.Locations) != 1 ||
					!strings.HasPrefix(e.Message, argument+": ") || !strings.HasSuffix(e.Message, " (at b; nothing was asked)") {
					t.Errorf("got %s", a.Body)
				}
				w.CheckNoCalls()
			})
		}
	}
}

// TestRequestErrorsNameArgument lists the errors with gqlgen's own texts.
func TestRequestErrorsNameArgument(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	const one, update = `query($n: Int) { queues(first: $n) { totalCount } }`, `mutation($i: UpdateQueueInput!) { updateQueue(input: $i) { queue { id } } }`
	for name, tt := range map[string]struct {
		query     string
		variables map[string]any
		says      string
	}{
		"no operationName":         {`query A { __typename } query B { __typename }`, nil, "operationName"},
		"fraction as an Int":       {one, map[string]any{"n": 1.5}, "variable $n: is no Int"},
		"variable left out":        {`query($i: ID!) { queue(id: $i) { name } }`, nil, "variable $i: must be defined"},
		"variable null":            {`query($i: ID!) { queue(id: $i) { name } }`, map[string]any{"i": nil}, "variable $i: cannot be null"},
		"within a variable":        {update, map[string]any{"i": map[string]any{"name": "a"}}, "variable $i.id: must be defined"},
		"within a variable's list": {update, map[string]any{"i": map[string]any{"id": e2e.UnknownID, "tags": []any{"a", nil}}}, "variable $i.tags.1: cannot be null"},
	} {
		t.Run(name, func(t *testing.T) {
			e := w.ExpectRefusal(tt.query, e2e.Request{Variables: tt.variables})
			if e.Extensions.Code != "GRAPHQL_VALIDATION_FAILED" || !strings.Contains(e.Message, tt.says) {
				t.Errorf("got %+v", e)
			}
			w.CheckNoCalls()
		})
	}
}

// TestNestedInputIsCheckedBeforeCalls verifies the same for nested fields.
func TestNestedInputIsCheckedBeforeCalls(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for name, query := range map[string]string{
		"first":            `{ rootDepartment { workflows(first: 501) { nodes { id } } } }`,
		"id":               `{ rootDepartment { workflow(id: "x") { id } } }`,
		"offset":           `{ queues { nodes { robots(offset: -1) { totalCount } } } }`,
		"after":            `{ companies { departments { packages(after: "!") { totalCount } } } }`,
		"filter.packageId": `{ rootDepartment { queues(filter: {packageId: "x"}) { totalCount } } }`,
		"filter.name":      `{ companies { departments { packages(filter: {name: "\u0000"}) { totalCount } } } }`,
	} {
		t.Run(name, func(t *testing.T) {
			w.Sim.ResetCounts()
			a := w.Ask(query, e2e.Request{})
			if len(a.Errors) == 0 || a.Errors[0].Extensions.Code != "BAD_USER_INPUT" || a.Errors[0].Extensions.Argument != name {
				t.Errorf("answered %.600s", a.Body)
			}
			w.CheckNoCalls()
		})
	}
}

func TestExplicitNullsAreDefaults(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	nulls := map[string]any{"f": nil, "o": nil, "n": nil, "a": nil, "s": nil}
	for _, list := range []string{"packages", "queues", "robots", "workflows", "workflowLayouts"} {
		t.Run(list, func(t *testing.T) {
			const below = `{ totalCount pageInfo { hasNextPage endCursor } nodes { id } }`
			plain := w.Ask(fmt.Sprintf(`{ l: %s %s }`, list, below), e2e.Request{})
			if len(plain.Errors) > 0 || len(plain.Data) < 300 {
				t.Fatalf("answered %s", plain.Body)
			}
			asked := w.Sim.Requests()
			for name, a := range map[string]e2e.Answer{
				"literals":  w.Ask(fmt.Sprintf(`{ l: %s(filter: null, order: null, first: null, after: null, offset: null) %s }`, list, below), e2e.Request{}),
				"variables": w.Ask(fmt.Sprintf(`query($f: %s, $o: SortOrder, $n: Int, $a: String, $s: Int) { l: %s(filter: $f, order: $o, first: $n, after: $a, offset: $s) %s }`, e2e.FilterOf(list), list, below), e2e.Request{Variables: nulls}),
				"left out":  w.Ask(fmt.Sprintf(`query($f: %s, $o: SortOrder, $n: Int, $a: String, $s: Int) { l: %s(filter: $f, order: $o, first: $n, after: $a, offset: $s) %s }`, e2e.FilterOf(list), list, below), e2e.Request{}),
				"in filter": w.Ask(fmt.Sprintf(`query($f: %s) { l: %s(filter: $f) %s }`, e2e.FilterOf(list), list, below), e2e.Request{Variables: map[string]any{"f": nullsOf(list)}}),
				"defaults":  w.Ask(fmt.Sprintf(`{ l: %s(filter: {}, order: DESC, first: 20, offset: 0) %s }`, list, below), e2e.Request{}),
			} {
				if string(a.Body) != string(plain.Body) {
					t.Errorf("%s: %s\nwant %s", name, a.Body, plain.Body)
				}
			}
			for _, r := range w.Sim.Requests() {
				if r.RawQuery != asked[len(asked)-1].RawQuery {
					t.Errorf("asked %q, plainly %q", r.RawQuery, asked[len(asked)-1].RawQuery)
				}
			}
			w.Sim.ResetCounts()
		})
	}
	t.Run("companies", func(t *testing.T) {
		plain := w.Ask(`{ companies { id } }`, e2e.Request{})
		for _, query := range []string{`{ companies(name: null) { id } }`, `{ companies(name: "") { id } }`} {
			if a := w.Ask(query, e2e.Request{}); string(a.Body) != string(plain.Body) {
				t.Errorf("%s: %s", query, a.Body)
			}
		}
	})
}

// nullsOf returns a list's filter with null in every field.
func nullsOf(list string) map[string]any {
	nulls := map[string]any{"name": nil, "searchString": nil}
	switch list {
	case "packages":
		nulls["startTime"], nulls["endTime"] = nil, nil
	case "queues", "robots", "workflows":
		nulls["associatedQueueId"], nulls["packageId"], nulls["packageVersionId"] = nil, nil, nil
	}
	return nulls
}

// TestNullIDsInFiltersAreOmitted sends null ids in variables within the filter, like a form
// with an empty field.
func TestNullIDsInFiltersAreOmitted(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for _, list := range []string{"queues", "robots", "workflows"} {
		w.Sim.ResetCounts()
		query := fmt.Sprintf(`query($p: ID) { %s(filter: {name: "x", packageId: $p, associatedQueueId: null, packageVersionId: $p}) { totalCount } }`, list)
		if a := w.Ask(query, e2e.Request{Variables: map[string]any{"p": nil}}); len(a.Errors) > 0 {
			t.Errorf("answered %s", a.Body)
			continue
		}
		if diff := cmp.Diff(url.Values{"Name": {"x"}}, w.SentQuery(e2e.ListOperations[list])); diff != "" {
			t.Errorf("%s: parameters, - want + sent:\n%s", list, diff)
		}
	}
}

// TestDoublingFragments sends fragments of which each spreads the next one twice, so that
// each line doubles the work. The document is refused before it is walked.
func TestDoublingFragments(t *testing.T) {
	t.Parallel()
	keys := make(map[string]map[string]string)
	w := e2e.NewWorld(t, consolesim.Options{}, e2e.WithoutAnonymous, func(s *gateway.Settings, sim *consolesim.Server) {
		k := &e2e.Keyring{T: t}
		k.Account("owner", sim.Data().Users()[0])
		for name, limits := range map[string]string{"operations": "[query]", "fields": "[workflows]", "types": "[Workflow]"} {
			keys[name] = k.Key(name, "owner", ", "+name+": "+limits)
		}
		s.APIKeysFile = k.Write()
	})
	keys["no limits"] = nil
	for name, leaf := range map[string]string{"of the root": "__typename", "with data": "workflows { nodes { name } }"} {
		const many = 50
		query := "{ ...F0 }"
		for i := range many {
			query += fmt.Sprintf(" fragment F%d on Query { ...F%d ...F%d }", i, i+1, i+1)
		}
		query += fmt.Sprintf(" fragment F%d on Query { %s }", many, leaf)
		for limits, key := range keys {
			t.Run(name+", key with "+limits, func(t *testing.T) {
				// Walking the fragments would take longer than the test may.
				if e := w.ExpectRefusal(query, e2e.Request{Header: key}); e.Extensions.Code != "QUERY_TOO_COMPLEX" {
					t.Errorf("%+v", e)
				}
			})
		}
	}
	w.CheckNoCalls()
}
