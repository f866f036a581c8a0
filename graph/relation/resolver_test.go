package relation

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	schemaast "github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/schema"
)

// calledByResolvers returns, by type and field of the schema, the type with which the field's
// resolver calls Resolve. Each resolver must be that call and nothing else.
func calledByResolvers(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../resolver/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	call := regexp.MustCompile(`^return relation\.Resolve\[(.+)\]\(ctx, (obj|nil)\)$`)
	got := make(map[string]string)
	for _, name := range files {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil {
				continue
			}
			receiver := strings.TrimPrefix(types.ExprString(f.Recv.List[0].Type), "*")
			typ, ok := strings.CutSuffix(receiver, "Resolver")
			if !ok || typ == "" || typ == "mutation" || typ == "subscription" {
				continue
			}
			field := strings.ToUpper(typ[:1]) + typ[1:] + "." + strings.ToLower(f.Name.Name[:1]) + f.Name.Name[1:]
			body := ""
			if len(f.Body.List) == 1 {
				if ret, ok := f.Body.List[0].(*ast.ReturnStmt); ok && len(ret.Results) == 1 {
					body = "return " + types.ExprString(ret.Results[0])
				}
			}
			parts := call.FindStringSubmatch(body)
			if parts == nil || (parts[2] == "nil") != (typ == "query") {
				t.Errorf("the resolver of %s is no call of Resolve for its object", field)
				continue
			}
			got[field] = parts[1]
		}
	}
	return got
}

// TestRelationsHaveResolvers compares the rows that load something with the resolvers, in
// both directions.
func TestRelationsHaveResolvers(t *testing.T) {
	want := make(map[string]string)
	s, err := schema.LoadFederated()
	if err != nil {
		t.Fatal(err)
	}
	for typ, rows := range FederatedTable() {
		for name, row := range rows {
			if row.Load == nil {
				continue
			}
			to := "*consoleclient." + row.To
			switch def := s.Types[row.To]; {
			case strings.HasSuffix(row.To, "Connection"):
				to = "*entity.Connection[consoleclient." + strings.TrimSuffix(row.To, "Connection") + "]"
			case def.Kind == schemaast.Interface, def.Kind == schemaast.Union:
				to = "loader.Node"
			case row.To == "_Service":
				to = "fedruntime.Service"
			case strings.HasSuffix(row.To, "Counts"):
				to = "*listing." + row.To
			case row.To == "Boolean":
				to = "*bool"
			case row.To == "String":
				to = "*string"
			}
			if s.Types[typ].Fields.ForName(name).Type.Elem != nil {
				to = "[]" + to
			}
			want[typ+"."+strings.TrimPrefix(name, "_")] = to
		}
	}
	if diff := cmp.Diff(want, calledByResolvers(t)); diff != "" {
		t.Errorf("- table + resolvers:\n%s", diff)
	}
}

// TestKeysAreFields verifies that keys are fields of the parent in the schema, except for payloads.
func TestKeysAreFields(t *testing.T) {
	s := loadSchema(t)
	for typ, rows := range Table() {
		if strings.HasSuffix(typ, "Payload") {
			continue
		}
		for name, row := range rows {
			if row.Inline != nil && len(row.Keys) > 0 {
				t.Errorf("%s.%s is inline and has keys", typ, name)
			}
			for _, key := range row.Keys {
				if key == "associatedRobotIds" { // the console's, which the graph gives as robots
					continue
				}
				if s.Types[typ].Fields.ForName(key) == nil {
					t.Errorf("%s.%s has the key %s, which is no field of %s", typ, name, key, typ)
				}
			}
		}
	}
}
