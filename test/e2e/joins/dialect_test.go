package joins

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// conditions are the numbers that some consoles send instead of names. The gateway passes
// either on.
var conditions = strings.NewReplacer(`"Queued"`, `"1000"`, `"Running"`, `"1001"`, `"Finished"`, `"1002"`, `"Failed"`, `"1003"`)

// renumber replaces names by conditions below that field only.
func renumber(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if name == "conditions" {
				text, _ := json.Marshal(value)
				var numbers any
				_ = json.Unmarshal([]byte(conditions.Replace(string(text))), &numbers)
				v[name] = numbers
				continue
			}
			v[name] = renumber(value)
		}
	case []any:
		for i := range v {
			v[i] = renumber(v[i])
		}
	}
	return v
}

// TestDialectsReturnSameAnswers sends the query of all types to consoles of every dialect and
// compares the answers.
func TestDialectsReturnSameAnswers(t *testing.T) {
	t.Parallel()
	noon := time.Now().Truncate(time.Hour)
	clock := func() time.Time { return noon } // a robot's status depends on time
	plain := e2e.NewWorld(t, consolesim.Options{Now: clock}, e2e.WithoutLimits)
	query := plain.QueryOfAllTypes()
	a := plain.Ask(query, e2e.Request{})
	if len(a.Errors) > 0 || len(a.Data) < 100_000 {
		t.Fatalf("%d bytes, errors %+v", len(a.Data), a.Errors)
	}
	if strings.Contains(string(a.Data), "UNKNOWN") {
		t.Error("a documented value is UNKNOWN")
	}
	all := consolesim.Dialect{
		PascalKeys: true, EnumIntegers: true, ConditionIntegers: true, WrapSingle: true, EmptyExecute: true,
		DeleteReturnsEntity: true, DeleteStatusOK: true, ExpiresInString: true, NoExtraFields: true, CorrectSpelling: true,
	}
	for name, o := range map[string]consolesim.Options{
		"PascalKeys":           {Dialect: consolesim.Dialect{PascalKeys: true}},
		"EnumIntegers":         {Dialect: consolesim.Dialect{EnumIntegers: true}},
		"ConditionIntegers":    {Dialect: consolesim.Dialect{ConditionIntegers: true}},
		"WrapSingle":           {Dialect: consolesim.Dialect{WrapSingle: true}},
		"BareSingle":           {Dialect: consolesim.Dialect{BareSingle: true}},
		"ExpiresInString":      {Dialect: consolesim.Dialect{ExpiresInString: true}},
		"NoExtraFields":        {Dialect: consolesim.Dialect{NoExtraFields: true}},
		"CorrectSpelling":      {Dialect: consolesim.Dialect{CorrectSpelling: true}},
		"ByteOrderMark":        {Dialect: consolesim.Dialect{ByteOrderMark: true}},
		"GUIDs without dashes": {Dialect: consolesim.Dialect{GUIDs: consolesim.GUIDDigits}},
		"GUIDs in braces":      {Dialect: consolesim.Dialect{GUIDs: consolesim.GUIDBraces}},
		"GUIDs in upper case":  {Dialect: consolesim.Dialect{GUIDs: consolesim.GUIDUpper}},
		"all at once":          {Dialect: all},
		"NoIDs":                {NoIDs: true},
		"NoAssociatedRobotIDs": {NoAssociatedRobotIDs: true},
		"PageClamp":            {PageClamp: 3},
		"all and less able":    {Dialect: all, NoIDs: true, NoAssociatedRobotIDs: true, PageClamp: 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.Now = clock
			w := e2e.NewWorld(t, o, e2e.WithoutLimits)
			b := w.Ask(query, e2e.Request{})
			if len(b.Errors) > 0 {
				t.Fatalf("errors: %+v", b.Errors)
			}
			if string(a.Data) == string(b.Data) {
				return
			}
			want, got := e2e.Decode[any](t, a.Data), e2e.Decode[any](t, b.Data)
			if o.Dialect.ConditionIntegers {
				want = renumber(want)
			}
			if o.Dialect.NoExtraFields {
				want = withoutPackageETags(want)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("- plain + dialect:\n%.3000s", diff)
			}
		})
	}
}

// TestUnknownEnumsKeepOtherValues compares the answers of a console with unknown enum values: all
// other values are unchanged.
func TestUnknownEnumsKeepOtherValues(t *testing.T) {
	t.Parallel()
	noon := time.Now().Truncate(time.Hour)
	clock := func() time.Time { return noon }
	plain := e2e.NewWorld(t, consolesim.Options{Now: clock}, e2e.WithoutLimits)
	query := plain.QueryOfAllTypes()
	want := e2e.Decode[any](t, plain.Ask(query, e2e.Request{}).Data)
	for name, dialect := range map[string]consolesim.Dialect{"names": {}, "integers": {EnumIntegers: true}} {
		t.Run(name, func(t *testing.T) {
			w := e2e.NewWorld(t, consolesim.Options{Now: clock, UnknownEnums: true, Dialect: dialect}, e2e.WithoutLimits)
			a := w.Ask(query, e2e.Request{})
			if len(a.Errors) > 0 {
				t.Fatalf("errors: %+v", a.Errors)
			}
			unknown := make(map[string]int)
			got := e2e.Decode[any](t, a.Data)
			if diff := cmp.Diff(want, restored("", got, want, unknown)); diff != "" {
				t.Errorf("- plain + unknown:\n%.3000s", diff)
			}
			for _, field := range []string{"direction", "licenseStatus", "status", "videoRecordMode", "triggerPolicy"} {
				if unknown[field] == 0 {
					t.Errorf("no %s is UNKNOWN: %v", field, unknown)
				}
			}
		})
	}
}

// restored replaces each UNKNOWN by the known value, and counts them by field.
func restored(field string, got, want any, unknown map[string]int) any {
	switch g := got.(type) {
	case string:
		if g == "UNKNOWN" {
			unknown[field]++
			return want
		}
	case map[string]any:
		w, _ := want.(map[string]any)
		for name := range g {
			g[name] = restored(name, g[name], w[name], unknown)
		}
	case []any:
		w, _ := want.([]any)
		for i := range g {
			if i < len(w) {
				g[i] = restored(field, g[i], w[i], unknown)
			}
		}
	}
	return got
}

// withoutPackageETags removes the packages' ETags from a decoded answer.
func withoutPackageETags(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = withoutPackageETags(v[i])
		}
	case map[string]any:
		for name := range v {
			if v[name] = withoutPackageETags(v[name]); name == "etag" && v["__typename"] == "Package" {
				v[name] = nil
			}
		}
	}
	return v
}
