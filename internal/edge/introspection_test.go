package edge

import (
	"testing"

	"github.com/99designs/gqlgen/graphql/introspection"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/schema"
)

// everyType is a fragment that tools ask for.
const everyType = `fragment F on __Type { kind name description
	fields(includeDeprecated: true) { name description args { name description type { ...T } defaultValue } type { ...T } isDeprecated deprecationReason }
	inputFields { name description type { ...T } defaultValue } interfaces { ...T } enumValues { name description } possibleTypes { ...T } }
fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } }`

func TestIntrospectionHasAPrice(t *testing.T) {
	sdl := gqlparser.MustLoadSchema(&ast.Source{Input: schema.SDL()})
	for name, tt := range map[string]struct {
		query   string
		refused bool
	}{
		"all of it":                {introspection.NewQuery(introspection.QueryOptions{OneOf: true}), false},
		"all of it, thrice":        {"{" + numbered(3, "a%d:__schema{types{...F}}") + "}" + everyType, false},
		"types by their names":     {`{` + numbered(10, `a%d:__type(name:"Workflow"){...F}`) + `}` + everyType, false},
		"the largest, by its name": {`{a:__type(name:"Query"){...F} b:__type(name:"Mutation"){...F}}` + everyType, false},
		"a type that is not there": {`{__type(name:"Cheese"){...F}}` + everyType, false},
		"all of it, often":         {"{" + numbered(100, "a%d:__schema{types{...F}}") + "}" + everyType, true},
		"in a fragment":            {"{...Q}fragment Q on Query{...{" + numbered(100, "a%d:__schema{types{...F}}") + "}}" + everyType, true},
		"types, often":             {"{__schema{" + numbered(100, "a%d:types{...F}") + "}}" + everyType, true},
		"fields, often":            {"{__schema{types{" + numbered(100, "a%d:fields{name description type{name}}") + "}}}", true},
		"names, often":             {"{__schema{types{" + numbered(4000, "a%d:name ") + "}}}", true},
		"descriptions, often":      {"{__schema{types{" + numbered(1500, "a%d:description ") + "}}}", true},
		"fields of fields":         {"{__schema{types{fields{type{ofType{fields{type{ofType{name description kind} name description kind}}} fields{type{name description kind}}}}}}}", false},
		"a type by its name":       {`{` + numbered(500, `a%d:__type(name:"Query"){...F}`) + `}` + everyType, true},
		"by a variable":            {`query($n:String!){` + numbered(500, `a%d:__type(name:$n){...F}`) + `}` + everyType, true},
	} {
		t.Run(name, func(t *testing.T) {
			document, err := gqlparser.LoadQueryWithRules(sdl, tt.query, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := introspects(sdl, document.Operations[0], map[string]any{"n": "Query"}); got != tt.refused {
				t.Errorf("refused: %v", got)
			}
		})
	}
}
