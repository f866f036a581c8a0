package querylimit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"

	"github.com/consoleql/consoleql/graph/schema"
)

// each concatenates the result of of for each number below n.
func each(n int, of func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(of(i))
	}
	return b.String()
}

// numbered concatenates a format for each number below n.
func numbered(n int, format string) string {
	return each(n, func(i int) string { return fmt.Sprintf(format, i) })
}

// validated parses and validates a document within the limit of tokens, and fails the test if
// that takes long.
func validated(t *testing.T, sdl *ast.Schema, query string) gqlerror.List {
	t.Helper()
	began := cpuTime(t)
	document, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: query}, (Limits{}).WithDefaults().Tokens)
	if err != nil {
		t.Fatal(err)
	}
	broken := validator.ValidateWithRules(sdl, document, ValidationRules(500, true)())
	if took := cpuTime(t) - began; took > 3*time.Second { // else tens of them, with -race
		t.Errorf("it took %v", took)
	}
	return broken
}

// TestExpensiveDocumentsAreNotValidated verifies the bound on the validator's walks, which start
// at each operation and each fragment.
func TestExpensiveDocumentsAreNotValidated(t *testing.T) {
	sdl := gqlparser.MustLoadSchema(&ast.Source{Input: schema.SDL()})
	for name, query := range map[string]string{
		"valid operations":       numbered(1200, "query a%d{...f}") + "fragment f on Query{" + strings.Repeat("__typename ", 7000) + "}",
		"operations with errors": strings.Repeat("{...f}", 300) + "fragment f on Query{" + numbered(1500, "zz%d ") + "}",
		"fields without a selection": strings.Repeat("{...f}", 1500) + "fragment f on Query{" +
			strings.Repeat("queues ", 6000) + "}",
		"fragments of fragments": "{...f0}" + each(1000, func(i int) string {
			return fmt.Sprintf("fragment f%d on Query{...f%d a b c d e f}", i, i+1)
		}) + "fragment f1000 on Query{__typename}",
		"fragments in a circle": "{...f0}" + each(1000, func(i int) string {
			return fmt.Sprintf("fragment f%d on Query{...f%d a b c d e f}", i, (i+1)%1000)
		}),
		"arguments": strings.Repeat("{...f}", 500) + "fragment f on Query{queues(" + numbered(3000, "a%d:1 ") + "){totalCount}}",
		"values":    strings.Repeat("{...f}", 500) + "fragment f on Query{queues(first:[" + strings.Repeat("1 ", 10_000) + "]){totalCount}}",
		"introspection, nested": strings.Repeat("{...f}", 500) + "fragment f on Query{zz{" +
			strings.Repeat("__schema{", 900) + "a" + strings.Repeat("}", 900) + "}}",
	} {
		t.Run(name, func(t *testing.T) {
			if broken := validated(t, sdl, query); len(broken) != 1 || broken[0].Rule != ruleSelections {
				t.Errorf("%d errors: %.500v", len(broken), broken)
			}
		})
	}
}

// TestErrorsAreBounded verifies bounds on the number and the length of errors.
func TestErrorsAreBounded(t *testing.T) {
	sdl := gqlparser.MustLoadSchema(&ast.Source{Input: schema.SDL()})
	long := strings.Repeat("q", 1<<20)
	for name, query := range map[string]string{
		"fields":             "{" + numbered(14_000, "zz%d ") + "}",
		"fields, long ones":  "{" + numbered(14_000, "zz"+strings.Repeat("z", 60)+"%d ") + "}",
		"of several":         strings.Repeat("{...f}", 100) + "fragment f on Query{" + numbered(1500, "zz%d ") + "}",
		"types":              "{__typename}" + numbered(1800, "fragment f%[1]d on Querz%[1]d{id}"),
		"a long field":       "{" + long + "}",
		"a long type":        "{...f}fragment f on " + long + "{id}",
		"a long text":        `{queues(order:"` + long + `"){totalCount}}`,
		"a long operation":   "query " + long + "(" + numbered(3000, "$a%d:Int ") + "){__typename}",
		"a circle":           "{...f0}" + numbered(150, "fragment f%[1]d on Query{...f0 ...f0 ...f0}") + "fragment g on Query{" + numbered(150, "...f%d ") + "}",
		"fields that differ": "{viewer{" + strings.Repeat("a:id a:name ", 380) + "}}",
	} {
		t.Run(name, func(t *testing.T) {
			broken := validated(t, sdl, query)
			if len(broken) == 0 || len(broken) > maxErrors+1 {
				t.Errorf("%d errors", len(broken))
			}
			if last := broken[len(broken)-1]; len(broken) == maxErrors+1 && !strings.HasSuffix(last.Message, " more errors are not listed") {
				t.Errorf("the last error is %v", last)
			}
			for _, err := range broken {
				if len(err.Message) > maxMessage {
					t.Errorf("%s: a message of %d bytes", err.Rule, len(err.Message))
				}
			}
		})
	}
}

// TestOmittedErrorsAreCounted verifies the count of omitted errors, including those
// of literals.
func TestOmittedErrorsAreCounted(t *testing.T) {
	sdl := gqlparser.MustLoadSchema(&ast.Source{Input: schema.SDL()})
	for name, tt := range map[string]struct {
		query string
		left  int
	}{
		"fields":               {"{" + numbered(150, "zz%d ") + "}", 50},
		"numbers":              {"{" + numbered(300, "a%d:queues(first:99999999999){totalCount}") + "}", 200},
		"numbers of a filter":  {"{" + numbered(130, "a%d:queues(filter:{name:{}}){totalCount}") + "}", 30},
		"numbers in a default": {numbered(101, "query q%d($n:Int=2147483648){queues(first:$n){totalCount}}"), 1},
		"numbers and fields":   {"{" + numbered(80, "a%d:queues(first:99999999999){totalCount zz}") + "}", 60},
		"a hundred":            {"{" + numbered(100, "a%d:queues(first:99999999999){totalCount}") + "}", 0},
	} {
		t.Run(name, func(t *testing.T) {
			broken := validated(t, sdl, tt.query)
			want := maxErrors
			if tt.left > 0 {
				want++
			}
			if len(broken) != want {
				t.Fatalf("%d errors; want %d", len(broken), want)
			}
			if said := fmt.Sprintf("%d more errors are not listed", tt.left); tt.left > 0 && broken[maxErrors].Message != said {
				t.Errorf("the last error is %q; want %q", broken[maxErrors].Message, said)
			}
		})
	}
}

// TestCountOfErrorsIsBounded verifies that a count that ends early says so.
func TestCountOfErrorsIsBounded(t *testing.T) {
	sdl := gqlparser.MustLoadSchema(&ast.Source{Input: schema.SDL()})
	broken := validated(t, sdl, "{"+numbered(14_000, "zz%d ")+"}")
	if said := "at least 9900 more errors are not listed"; len(broken) != maxErrors+1 || broken[maxErrors].Message != said {
		t.Errorf("%d errors, the last %q; want %q", len(broken), broken[len(broken)-1].Message, said)
	}
}

// TestInvalidNumberIsReportedOnce verifies that a number out of range is one error, for every type.
func TestInvalidNumberIsReportedOnce(t *testing.T) {
	sdl := gqlparser.MustLoadSchema(&ast.Source{Input: schema.SDL()})
	for literal, want := range map[string]string{
		"first: 1e400":                       "first: is not an integer of 32 bits",
		"first: 99999999999":                 "first: is not an integer of 32 bits",
		"order: 1e400":                       `Enum "SortOrder" cannot represent non-enum value`,
		"after: 1e400":                       "String cannot represent a non string value",
		"after: " + strings.Repeat("9", 30):  "String cannot represent a non string value",
		"filter: " + strings.Repeat("9", 30): `Expected value of type "QueueFilter"`,
		"filter: {name: 1e400}":              "String cannot represent a non string value",
	} {
		t.Run(literal, func(t *testing.T) {
			broken := validated(t, sdl, "{queues("+literal+"){totalCount}}")
			if len(broken) != 1 || !strings.HasPrefix(broken[0].Message, want) {
				t.Errorf("%v; want %q alone", broken, want)
			}
		})
	}
}

// TestNameLengthIsLimited verifies that a name has at most 128 characters everywhere.
func TestNameLengthIsLimited(t *testing.T) {
	sdl := gqlparser.MustLoadSchema(&ast.Source{Input: schema.SDL()})
	for name, query := range map[string]string{
		"an alias":               "{%s:__typename}",
		"an alias further down":  "{viewer{company{%s:id}}}",
		"an alias in a fragment": "{...f}fragment f on Query{viewer{%s:id}}",
		"an alias of an inline":  "{...on Query{%s:viewer{id}}}",
		"an operation":           "query %s{__typename}",
		"a variable":             "query($%[1]s:Int){queues(first:$%[1]s){totalCount}}",
		"a fragment":             "{...%[1]s}fragment %[1]s on Query{__typename}",
	} {
		t.Run(name, func(t *testing.T) {
			if broken := validated(t, sdl, fmt.Sprintf(query, strings.Repeat("n", maxName))); len(broken) > 0 {
				t.Errorf("of %d characters: %v", maxName, broken)
			}
			if broken := validated(t, sdl, fmt.Sprintf(query, strings.Repeat("n", maxName+1))); len(broken) != 1 || broken[0].Rule != ruleSelections {
				t.Errorf("of one more: %v", broken)
			}
		})
	}
	for name, query := range map[string]string{ // which are not valid either way
		"a field": "{%s}", "an argument": "{queues(%s:1){totalCount}}", "a directive": "{viewer @%s{id}}",
		"a type": "{...on %s{id}}", "a variable's type": "query($a:%s){queues(first:$a){totalCount}}", "a variable's type in a list": "query($a:[[%s!]]){queues(first:$a){totalCount}}", "an enum value": "{queues(order:%s){totalCount}}", "a member of an input": "{queues(filter:{%s:1}){totalCount}}",
	} {
		t.Run(name, func(t *testing.T) {
			if broken := validated(t, sdl, fmt.Sprintf(query, strings.Repeat("n", 150_000))); len(broken) != 1 || broken[0].Rule != ruleSelections {
				t.Errorf("%.300v", broken)
			}
		})
	}
}

// TestObjectFieldsAreLimited verifies that an object has at most 500 fields with its fragments
// merged.
func TestObjectFieldsAreLimited(t *testing.T) {
	sdl := gqlparser.MustLoadSchema(&ast.Source{Input: schema.SDL()})
	for name, tt := range map[string]struct {
		query string
		few   bool
	}{
		"500 of the root":          {"{" + numbered(500, "a%d:__typename ") + "}", true},
		"501 of the root":          {"{" + numbered(501, "a%d:__typename ") + "}", false},
		"the same twice":           {"{viewer{" + numbered(500, "a%d:id ") + numbered(500, "a%d:id ") + "}}", true},
		"in a fragment and beside": {"{viewer{" + numbered(251, "a%d:id ") + "...f}}fragment f on CompanyUser{" + numbered(250, "b%d:id ") + "}", false},
		"in two mentions":          {"{viewer{" + numbered(251, "a%d:id ") + "}...f}fragment f on Query{viewer{" + numbered(250, "b%d:id ") + "}}", false},
		"of two objects":           {"{a:viewer{" + numbered(251, "a%d:id ") + "}b:viewer{" + numbered(250, "b%d:id ") + "}}", true},
		"further down":             {"{queues{nodes{" + numbered(501, "a%d:id ") + "}}}", false},
	} {
		t.Run(name, func(t *testing.T) {
			broken := validated(t, sdl, tt.query)
			if few := len(broken) == 0; few != tt.few || !few && broken[0].Rule != ruleSelections {
				t.Errorf("%v", broken)
			}
		})
	}
}

func TestLargeDocumentsAreValid(t *testing.T) {
	sdl := gqlparser.MustLoadSchema(&ast.Source{Input: schema.SDL()})
	for name, query := range map[string]string{
		"one operation": "{" + numbered(500, "a%d:__typename ") + "}",
		"ten objects":   "{" + each(10, func(i int) string { return fmt.Sprintf("o%d:viewer{%s}", i, numbered(490, "a%d:id ")) }) + "}",
		"one of arguments": "{" + each(500, func(i int) string {
			return fmt.Sprintf("a%d:queues(first:%d){totalCount}", i, i%500)
		}) + "}",
		"operations that share fragments": each(100, func(i int) string {
			return fmt.Sprintf("query q%d{viewer{...u}queues{nodes{...a ...b}}workflows{nodes{...w}}}", i)
		}) + "fragment u on CompanyUser{id name company{id name}}" +
			"fragment a on Queue{id name " + numbered(30, "a%d:robotCount ") + "}" +
			"fragment b on Queue{...a " + numbered(30, "b%d:robotCount ") + "}" +
			"fragment w on Workflow{id name queue{...a ...b}robots{name status}}",
		"operations of their own": each(100, func(i int) string {
			return fmt.Sprintf("query q%d{queues{nodes{%s}}}", i, numbered(40, "a%d:id "))
		}),
	} {
		t.Run(name, func(t *testing.T) {
			if broken := validated(t, sdl, query); len(broken) > 0 {
				t.Errorf("%d errors: %.500v", len(broken), broken)
			}
		})
	}
}

// TestOmittedValidationErrorsAreCounted verifies that listed and omitted errors add up, with and without
// errors of literals.
func TestOmittedValidationErrorsAreCounted(t *testing.T) {
	sdl := gqlparser.MustLoadSchema(&ast.Source{Input: schema.SDL()})
	large := func(n int) string { return numbered(n, "a%d:queues(first:3000000000){totalCount} ") }
	unknown := func(n int) string { return numbered(n, "zz%d ") }
	objects := func(n int) string { return numbered(n, "o%d:queues(first:{}){totalCount} ") }
	for name, tt := range map[string]struct {
		query string
		want  int
	}{
		"numbers":                     {"{" + large(250) + "}", 250},
		"numbers before fields":       {"{" + large(90) + unknown(200) + "}", 290},
		"fields before numbers":       {"{" + unknown(150) + large(120) + "}", 270},
		"numbers, a hundred":          {"{" + large(100) + "}", 100},
		"numbers, one more":           {"{" + large(101) + "}", 101},
		"objects":                     {"{" + objects(3) + "}", 3},
		"objects, many":               {"{" + objects(130) + "}", 130},
		"numbers of a fragment twice": {"{...f ...f}fragment f on Query{" + large(130) + "}", 130},
		"objects of a fragment twice": {"{...f ...f}fragment f on Query{" + objects(3) + "}", 3},
		"numbers of variables":        {"query(" + numbered(140, "$a%d:Int=3000000000 ") + "){" + numbered(140, "a%[1]d:queues(first:$a%[1]d){totalCount} ") + "}", 140},
	} {
		t.Run(name, func(t *testing.T) {
			broken := validated(t, sdl, tt.query)
			got := len(broken)
			if got > maxErrors {
				left := 0
				if _, err := fmt.Sscanf(broken[got-1].Message, "%d more errors are not listed", &left); err != nil {
					t.Fatalf("%d errors, the last of which is %v", got, broken[got-1])
				}
				got += left - 1
			}
			if got != tt.want {
				t.Errorf("%d errors, want %d: %.300v", got, tt.want, broken)
			}
		})
	}
}
