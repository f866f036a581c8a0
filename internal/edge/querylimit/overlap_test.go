package querylimit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"

	"github.com/consoleql/consoleql/graph/schema"
)

func TestValidationTime(t *testing.T) {
	sdl := gqlparser.MustLoadSchema(&ast.Source{Input: schema.SDL()})
	ids := func(n int) string { return strings.Repeat(" id", n) }
	aliases := func(directive string) string {
		var b strings.Builder
		for i := range 4900 {
			fmt.Fprintf(&b, " a%d: name%s", i, directive)
		}
		return b.String()
	}
	for name, tt := range map[string]struct {
		query string
		rule  string // the first that is broken; empty: none
	}{
		"aliases":                        {"{ robots { nodes {" + aliases("") + "} } }", ruleSelections},
		"aliases that may be skipped":    {"query($s: Boolean!) { robots { nodes {" + aliases(" @skip(if: $s)") + "} } }", ruleSelections},
		"aliases that are not included":  {"{ robots { nodes {" + aliases(" @include(if: false)") + "} } }", ruleSelections},
		"aliases in the schema's types":  {`{ __type(name: "Robot") { fields {` + aliases("") + "} } }", ruleSelections},
		"aliases in a skipped fragment":  {"query($s: Boolean!) { robots { nodes { ... @skip(if: $s) {" + aliases("") + "} } } }", ruleSelections},
		"the same field":                 {"{" + strings.Repeat(" __typename", 14900) + "}", ruleSelections},
		"further down":                   {"{ viewer { company {" + ids(14900) + "} } }", ruleSelections},
		"below the same fields":          {"{" + strings.Repeat(" viewer {"+strings.Repeat(" company {"+ids(50)+"}", 20)+"}", 10) + "}", ruleSelections},
		"in fragments":                   {"{ viewer { company { ...a ...b } } } fragment a on Company {" + ids(700) + "} fragment b on Company {" + ids(700) + "}", ruleSelections},
		"in other fields":                {"{ viewer { company {" + strings.Repeat(" id id id name", 100) + "} } }", ""},
		"two that cannot be merged":      {"{ viewer { a: id a: name } }", "OverlappingFieldsCanBeMerged"},
		"fragments of each other":        {"{ viewer { ...a } } fragment a on CompanyUser { company { id } ...b } fragment b on CompanyUser { ...a id }", "NoFragmentCycles"},
		"fragments that come back below": {"{ rootDepartment { ...F } } fragment F on Department { id children { ...G } } fragment G on Department { children { ...F } }", "NoFragmentCycles"},
		"fragments of one name":          {"{ rootDepartment { ...F } } fragment F on Department { children { ...F } } fragment F on Department { id }", "NoFragmentCycles"},
		"fragments that double": {"{ viewer { ...f0 } }" + func() string {
			var b strings.Builder
			for i := range 40 {
				n := string(rune('A'+i%26)) + strings.Repeat("x", i/26)
				m := string(rune('A'+(i+1)%26)) + strings.Repeat("x", (i+1)/26)
				if i == 0 {
					n = "f0"
				}
				if i == 39 {
					b.WriteString(" fragment " + n + " on CompanyUser { id }")
					continue
				}
				b.WriteString(" fragment " + n + " on CompanyUser { a: assignedDepartment { id } ..." + m + " b: assignedDepartment { id } ..." + m + " }")
			}
			return b.String()
		}(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			document, err := parser.ParseQuery(&ast.Source{Input: tt.query})
			if err != nil {
				t.Fatal(err)
			}
			began := cpuTime(t)
			broken := validator.ValidateWithRules(sdl, document, ValidationRules(500, true)())
			if took := cpuTime(t) - began; took > 3*time.Second { // else tens of them
				t.Errorf("it took %v", took)
			}
			if tt.rule == "" != (len(broken) == 0) || len(broken) > 0 && broken[0].Rule != tt.rule {
				t.Errorf("%v", broken)
			}
		})
	}
}
