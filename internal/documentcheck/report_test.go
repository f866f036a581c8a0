package documentcheck_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/documentcheck"
)

func TestReport(t *testing.T) {
	results := []documentcheck.Result{
		{Name: "Costly", File: "a.json", Calls: 12, Rounds: 2, Depth: 3, Values: 40, Bytes: 900},
		{Name: "Planned", File: "a.json", Calls: 1, Rounds: 1, Depth: 2, Planned: true},
		{Name: "Endless", File: "a.json", Calls: 11, OrMore: true, Rounds: 4, Depth: 9, Planned: true},
		{ID: "1", File: "b.json", Error: "invalid"},
	}
	var table strings.Builder
	if err := documentcheck.Write(&table, "table", results); err != nil {
		t.Fatal(err)
	}
	const want = "  calls  rounds  depth  values  bytes  document\n     12       2      3      40    900  Costly (a.json)\n" +
		"      1       1      2       -      -  Planned (a.json)\n    11+       4      9       -      -  Endless (a.json)\n      -       -      -       -      -  1 (b.json)\n"
	if table.String() != want {
		t.Errorf("wrote\n%s\nwant\n%s", &table, want)
	}
	for most, want := range map[int][]string{
		0:  {"1 (b.json): invalid"},
		10: {"Costly (a.json): 12 calls, more than 10", "Endless (a.json): 11+ calls, more than 10", "1 (b.json): invalid"},
		11: {"Costly (a.json): 12 calls, more than 11", "Endless (a.json): 11+ calls, perhaps more than 11", "1 (b.json): invalid"},
		12: {"Endless (a.json): 11+ calls, perhaps more than 12", "1 (b.json): invalid"},
	} {
		if got := documentcheck.Failures(results, most); !slices.Equal(got, want) {
			t.Errorf("at most %d calls: %q", most, got)
		}
	}
	var list strings.Builder
	if err := documentcheck.Write(&list, "json", nil); err != nil || list.String() != "[]\n" {
		t.Errorf("wrote %q, %v", &list, err)
	}
}
