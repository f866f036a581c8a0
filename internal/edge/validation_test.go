package edge

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

// each is what of says for each number below n.
func each(n int, of func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(of(i))
	}
	return b.String()
}

// numbered is a format for each number below n.
func numbered(n int, format string) string {
	return each(n, func(i int) string { return fmt.Sprintf(format, i) })
}

// validated parses and validates a document of at most as many tokens as are taken, and fails
// the test where that takes long.
func validated(t *testing.T, sdl *ast.Schema, query string) gqlerror.List {
	t.Helper()
	began := cpuTime(t)
	document, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: query}, (Limits{}).withDefaults().Tokens)
	if err != nil {
		t.Fatal(err)
	}
	broken := validator.ValidateWithRules(sdl, document, validation())
	if took := cpuTime(t) - began; took > 3*time.Second { // else tens of them, with -race
		t.Errorf("it took %v", took)
	}
	return broken
}

// TestDearDocumentsAreNotWalkedOver: the validator walks from each operation and each fragment
// into all that they spread.
func TestDearDocumentsAreNotWalkedOver(t *testing.T) {
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

// TestErrorsAreFew: neither their number nor their length is the caller's to choose.
func TestErrorsAreFew(t *testing.T) {
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
			if len(broken) == 0 || len(broken) > maxErrors {
				t.Errorf("%d errors", len(broken))
			}
			for _, err := range broken {
				if len(err.Message) > maxMessage {
					t.Errorf("%s: a message of %d bytes", err.Rule, len(err.Message))
				}
			}
		})
	}
}

func TestLargeDocumentsAreValid(t *testing.T) {
	sdl := gqlparser.MustLoadSchema(&ast.Source{Input: schema.SDL()})
	for name, query := range map[string]string{
		"one operation": "{" + numbered(4990, "a%d:__typename ") + "}",
		"one of arguments": "{" + each(1240, func(i int) string {
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
