package loader_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/graph/selection"
	"github.com/consoleql/consoleql/graph/sequential"
	"github.com/consoleql/consoleql/internal/budget"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// TestLookAheadIsBounded verifies how many loads look-ahead begins for 1,000 robots with 100 aliases of a field.
func TestLookAheadIsBounded(t *testing.T) {
	const robots, aliases = 1000, 100
	var fields strings.Builder
	for i := range aliases {
		fmt.Fprintf(&fields, "a%d: company { n%d: id } ", i, i)
	}
	document := "{ robots { nodes { " + fields.String() + "} } }"
	for name, tt := range map[string]struct {
		values, memory int // limits of the answer
		canceledAt     int // after so many loads
		needs          bool
		want           int
		refused        fault.Code
	}{
		"aliases that load the same":  {needs: true, want: robots},
		"aliases that do not":         {want: robots * aliases},
		"an answer with many values":  {values: robots*aliases - 1, needs: true, refused: fault.QueryTooComplex},
		"as many values as there may": {values: robots*aliases + 1, needs: true, want: robots},
		"no memory":                   {memory: 1, want: robots, refused: fault.RateLimited},
		"a caller that has left":      {canceledAt: 10, want: 10},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(budget.NewContext(t.Context(), budget.New(2000)))
			defer cancel()
			ctx = sequential.NewContext(ctx, sequential.NewAnswer(sequential.Limits{Values: tt.values}, nil, func(int) error {
				if tt.memory > 0 {
					return fault.Busy("no memory")
				}
				return nil
			}))
			loads := 0
			company := loader.Relation{To: "Company", Load: func(*loader.Loaders, any, loader.FieldCall) loader.Loaded {
				if loads++; loads == tt.canceledAt {
					cancel()
				}
				return loader.One[cc.Company](batch.Ready(&cc.Company{}))
			}}
			if tt.needs {
				company.Needs = func(*loader.Loaders, selection.Set) any { return nil }
			}
			e, err := loader.New(noConsole{}, loader.Relations{
				"Query": {"robots": {To: "RobotConnection", Load: func(*loader.Loaders, any, loader.FieldCall) loader.Loaded {
					return loader.One[cc.Page[cc.Robot]](batch.Ready(&cc.Page[cc.Robot]{}))
				}}},
				"RobotConnection": {"nodes": {To: "Robot", Inline: func(_ any, visit func(any)) {
					for range robots {
						visit(&cc.Robot{})
					}
				}}},
				"Robot": {"company": company},
			}, loader.Options{})
			if err != nil {
				t.Fatal(err)
			}
			l := e.Loaders(ctx, scope.Scope{})
			l.LookAhead("Query", selection.OfOperation(operationOf(t, document, nil)), nil)
			if err := l.AwaitLevels(func(lookingAhead bool) bool { return !lookingAhead }); err != nil && tt.canceledAt == 0 {
				t.Fatal(err)
			}
			l.Close()
			if loads != tt.want || fault.CodeOf(l.Budget().Err()) != tt.refused {
				t.Errorf("%d loads, want %d; then refused with %v", loads, tt.want, l.Budget().Err())
			}
		})
	}
}
