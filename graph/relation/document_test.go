package relation

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

//go:generate go test -count=1 -run ^TestDocument$ -update .

var update = flag.Bool("update", false, "write the table of docs/joins.md")

// document returns the table of relations in the form of docs/joins.md.
func document() string {
	var b strings.Builder
	b.WriteString("| field | leads to | named by | with |\n| --- | --- | --- | --- |\n")
	table := Table()
	for _, typ := range slices.Sorted(maps.Keys(table)) {
		if strings.HasSuffix(typ, "Connection") || strings.HasSuffix(typ, "Counts") || typ == "UnavailableDepartment" || strings.HasSuffix(typ, "Edge") || strings.HasSuffix(typ, "Payload") || strings.HasSuffix(typ, "Event") {
			continue // they hold what they lead to, or name it
		}
		for _, name := range slices.Sorted(maps.Keys(table[typ])) {
			row := table[typ][name]
			with := "a batch, or what the operation holds already"
			switch {
			case row.Inline != nil:
				with = "its parent"
			case strings.HasSuffix(row.To, "Counts") && row.Lists:
				with = "the list of each parent, or one smallest page"
			case strings.HasSuffix(row.To, "Counts"):
				with = "the list of each department, or one smallest page"
			case typ == "Package" && name == "unused":
				with = "the department's list of workflows"
			case typ+"."+name == "Robot.queues", typ+"."+name == "Robot.workflows":
				with = "the department's list, and the robots of its queues"
			case typ+"."+name == "Workflow.layouts":
				with = "the department's list"
			case row.Lists && typ == "Company":
				with = "pages of a list, for each department"
			case row.Lists:
				with = "pages of a list, for each parent"
			case row.To == "Company":
				with = "the list of companies"
			case row.To == "Department":
				with = "the company's department tree"
			case row.To == "CompanyUser":
				with = "one call for each company"
			}
			keys := slices.Clone(row.Keys)
			if row.To == "Node" {
				with = "what a field by id of its type costs; those of one type and department in one batch"
			}
			if row.Check != nil && !row.Lists {
				keys = append(keys, "the argument")
			}
			fmt.Fprintf(&b, "| `%s.%s` | `%s` | %s | %s |\n", typ, name, row.To, strings.Join(keys, ", "), with)
		}
	}
	return b.String()
}

// TestDocument compares the table of docs/joins.md with the relations.
func TestDocument(t *testing.T) {
	const path, begin, end = "../../docs/joins.md", "<!-- Written by \"make generate\" from the table of relations. -->\n", "<!-- end of relations -->"
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), begin)
	got, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no place for the table", path)
	}
	if want := document(); *update {
		if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got != want {
		t.Errorf("%s has another table of relations: run make generate", path)
	}
}
