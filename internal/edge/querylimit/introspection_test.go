package querylimit

import (
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/introspection"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/schema"
	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/fault"
)

// everyType is a fragment that tools select.
const everyType = `fragment F on __Type { kind name description
	fields(includeDeprecated: true) { name description args { name description type { ...T } defaultValue } type { ...T } isDeprecated deprecationReason }
	inputFields { name description type { ...T } defaultValue } interfaces { ...T } enumValues { name description } possibleTypes { ...T } }
fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } }`

// TestIntrospectionFields verifies the bound on __schema and __type. Fields with the same
// name count once.
func TestIntrospectionFields(t *testing.T) {
	sdl := gqlparser.MustLoadSchema(&ast.Source{Input: schema.SDL()})
	for name, tt := range map[string]struct {
		query   string
		refused bool
	}{
		"all of it":                {introspection.NewQuery(introspection.QueryOptions{OneOf: true}), false},
		"all of it, thrice":        {"{" + numbered(3, "a%d:__schema{types{...F}}") + "}" + everyType, false},
		"the same, often":          {"{" + strings.Repeat("__schema{types{...F}}", 20) + "}" + everyType, false},
		"types by their names":     {`{` + numbered(10, `a%d:__type(name:"Workflow"){...F}`) + `}` + everyType, false},
		"one type more":            {`{` + numbered(11, `a%d:__type(name:"Workflow"){...F}`) + `}` + everyType, true},
		"both":                     {`{` + numbered(10, `a%d:__type(name:"Workflow"){...F}`) + `__schema{types{name}}}` + everyType, true},
		"a type that is not there": {`{__type(name:"Cheese"){...F}}` + everyType, false},
		"skipped":                  {"query($n:Boolean!){" + numbered(100, "a%d:__schema@skip(if:$n){types{...F}}") + "}" + everyType, false},
		"in a fragment":            {"{...Q}fragment Q on Query{...{" + numbered(11, "a%d:__schema{types{...F}}") + "}}" + everyType, true},
		"by a variable":            {`query($s:String!){` + numbered(11, `a%d:__type(name:$s){...F}`) + `}` + everyType, true},
		"a mutation":               {`mutation{signOut{ok}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			document, err := gqlparser.LoadQueryWithRules(sdl, tt.query, nil)
			if err != nil {
				t.Fatal(err)
			}
			op := &graphql.OperationContext{Doc: document, Operation: document.Operations[0], Variables: map[string]any{"s": "Query", "n": true}}
			refused := (&Limiter{Limits: Limits{}.WithDefaults()}).MutateOperationContext(t.Context(), op)
			if (refused != nil) != tt.refused {
				t.Fatalf("refused: %v", refused)
			}
			if refused != nil && (apierror.ExtensionCode(refused) != string(fault.QueryTooComplex) || !strings.Contains(refused.Message, "__schema and __type")) {
				t.Errorf("refused by %v", refused)
			}
		})
	}
}
