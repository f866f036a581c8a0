package consoleclient

import (
	"reflect"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/fault"
)

func TestStringMap(t *testing.T) {
	for wire, want := range map[string]StringMap{
		`{"a":"b","C":"<&>"}`:                         {{"C", "<&>"}, {"a", "b"}},
		`{"n":1.50,"t":true,"o":{"x":[1]},"l":["y"]}`: {{"l", `["y"]`}, {"n", "1.50"}, {"o", `{"x":[1]}`}, {"t", "true"}},
		`{"gone":null}`:                               {},
		`{"b":"1","a":"2","b":"3","a":null}`:          {{"a", "2"}, {"b", "3"}},
		`{}`:                                          {},
		`null`:                                        nil,
		`[]`:                                          nil,
		`"x"`:                                         nil,
		`7`:                                           nil,
	} {
		got := StringMap{{"old", "value"}}
		if err := jsonv2.Unmarshal([]byte(wire), &got, decoding); err != nil {
			t.Errorf("%s: %v", wire, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", wire, diff)
		}
	}
	for want, m := range map[string]StringMap{
		`{"a":"<&>","b":"云"}`: {{"a", "<&>"}, {"b", "云"}},
		`{}`:                  {},
		`null`:                nil,
	} {
		if got, err := jsonv2.Marshal(m); err != nil || string(got) != want {
			t.Errorf("%v: got %s, %v, want %s", m, got, err, want)
		}
	}
	for _, wire := range []string{`{"a":`, `{"a"`, `{`, `{"a":tru}`} {
		var m StringMap
		if err := jsonv2.Unmarshal([]byte(wire), &m); err == nil {
			t.Errorf("%s was accepted", wire)
		}
	}
	if got := gql(StringMap(nil)) + gql(StringMap{{"a", "云"}, {"b", "\""}}); got != `null{"a":"云","b":"\""}` {
		t.Errorf("GraphQL: %s", got)
	}
	var m StringMap
	if err := m.UnmarshalGQL(map[string]any{"b": "c", "a": "b"}); err != nil || !reflect.DeepEqual(m, StringMap{{"a", "b"}, {"b", "c"}}) {
		t.Errorf("got %v, %v", m, err)
	}
	if err := m.UnmarshalGQL(nil); err != nil || m != nil {
		t.Errorf("null: got %v, %v", m, err)
	}
	for _, bad := range []any{"a", 5, map[string]any{"a": 1}, map[string]any{"a": nil}, []any{}} {
		if err := m.UnmarshalGQL(bad); fault.CodeOf(err) != fault.BadUserInput {
			t.Errorf("%v: got %v, %v", bad, m, err)
		}
	}
}
