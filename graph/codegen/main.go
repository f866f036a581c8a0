// Command codegen runs gqlgen over the schema (gqlgen.yml), and changes its output so that an
// operation is executed on one goroutine.
//
// gqlgen starts a goroutine for each field with a resolver, and for each element of a list, so
// that their waits overlap. Here look-ahead (graph/loader) has started all loads before a
// resolver runs, level by level. Resolvers only collect results. Several hundred goroutines
// for a dashboard's query would only add their cost and that of growing their stacks.
package main

import (
	"bytes"
	"fmt"
	"go/format"
	"io"
	"io/fs"
	"log"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/api"
	"github.com/99designs/gqlgen/codegen"
	"github.com/99designs/gqlgen/codegen/config"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/schema"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "codegen:", err)
		os.Exit(1)
	}
}

func run() error {
	log.SetOutput(io.Discard) // gqlgen prints each method that it finds
	cfg, err := config.LoadConfigFromDefaultLocations()
	if err != nil {
		return fmt.Errorf("gqlgen.yml: %w", err)
	}
	plugin := &sequentialExecution{}
	if err := api.Generate(cfg, api.AddPlugin(plugin)); err != nil {
		return fmt.Errorf("gqlgen: %w", err)
	}
	return edit(cfg.Exec.DirName, plugin.leaves)
}

// sequentialExecution is a gqlgen plugin that executes fields in order.
type sequentialExecution struct {
	leaves []string // beginnings of the functions of fields that write a plain struct field
}

// InjectSourceLate adds the schema of a federation's subgraph, which a gateway has only if it is
// turned on.
func (*sequentialExecution) InjectSourceLate(*ast.Schema) *ast.Source { return schema.Federation() }

// Name returns the plugin's name.
func (*sequentialExecution) Name() string { return "sequential" }

// GenerateCode runs before gqlgen writes the code that executes operations.
func (s *sequentialExecution) GenerateCode(data *codegen.Data) error { //nolint:unparam // gqlgen's interface
	for _, object := range data.Objects {
		object.DisableConcurrency = true
		for _, field := range object.Fields {
			resolve(object, field)
			if isLeaf(field) {
				s.leaves = append(s.leaves, fmt.Sprintf(") _%s_%s(ctx context.Context, field graphql.CollectedField, obj ", object.Name, field.Name))
			}
		}
	}
	return nil
}

// resolve gives the fields of a federation's subgraph a resolver. gqlgen expects that its own plugin
// generates them, with a goroutine for each type.
func resolve(object *codegen.Object, field *codegen.Field) {
	name := map[string]string{"_service": "Service", "_entities": "Entities"}[field.Name]
	if !object.Root || name == "" {
		return
	}
	field.GoFieldName, field.IsResolver, field.NoErr = name, true, false
}

// isLeaf reports whether reading the field cannot fail. Such a field is a scalar or enum in a
// struct field; a non-null one has a type that cannot be null.
func isLeaf(f *codegen.Field) bool {
	if !f.IsVariable() || f.IsResolver || len(f.Args) > 0 || f.HasDirectives() || f.HasHaser || !f.TypeReference.Definition.IsLeafType() {
		return false
	}
	typ := f.TypeReference.GO.String()
	if f.TypeReference.GQL.Elem != nil {
		return strings.TrimLeft(typ, "*[]") == "string" // no element can be null
	}
	// A non-pointer type that marshals itself is never null.
	writesItself := f.TypeReference.IsMarshaler && !f.TypeReference.IsContext && !f.TypeReference.IsNilable()
	return !f.TypeReference.GQL.NonNull || writesItself || slices.Contains([]string{"string", "bool", "int"}, typ)
}

// edits are changes for which gqlgen has no option.
var edits = []struct{ old, new string }{ //nolint:gochecknoglobals // a constant
	// Execute list elements in order.
	{"graphql.MarshalSliceConcurrently(ctx, len(v), 0, false, ", "ec.answer.Slice(ctx, len(v), "},
	// Count the collected values, and the bytes of their text.
	{"ret := make(graphql.Array, len(v))\n", "ret := ec.answer.Array(len(v))\n\tif ret == nil {\n\t\treturn graphql.Null\n\t}\n"},
	{"*graphql.ExecutionContextState[ResolverRoot, DirectiveRoot, ComplexityRoot]\n}", "*graphql.ExecutionContextState[ResolverRoot, DirectiveRoot, ComplexityRoot]\n\tanswer *sequential.Answer // that is being collected\n}"},
	{"\t\t\t\tdata = ec._Query(", "\t\t\t\tec.answer = sequential.FromContext(ctx)\n\t\t\t\tdata = ec._Query("},
	{"\t\t\tdata := ec._Mutation(", "\t\t\tec.answer = sequential.FromContext(ctx)\n\t\t\tdata := ec._Mutation("},
	{"\t\t\tbuf.Reset()\n\t\t\tdata := next(ctx)\n", "\t\t\tec.answer = sequential.FromContext(ctx)\n\t\t\tdata := next(ctx)\n"},
	// Collect the fields of a selection set once for all objects of a list.
	{"fields := graphql.CollectFields(ec.OperationContext, sel, ", "fields := ec.answer.Fields(ec.OperationContext, sel, "},
	// Allocate many strings at once.
	{"res := graphql.MarshalString(v)\n", "res := ec.answer.String(v)\n"},
	{"res := graphql.MarshalString(*v)\n", "res := ec.answer.String(*v)\n"},
	{"res := scalar.MarshalID(v)\n", "res := ec.answer.String(v)\n"},
	{"res := scalar.MarshalID(*v)\n", "res := ec.answer.String(*v)\n"},
	// A field set need not wait for concurrent fields.
	{"out := graphql.NewFieldSet(fields)", "out := ec.answer.FieldSet(fields)\n\tif out == nil {\n\t\treturn graphql.Null\n\t}"},
	// No field is deferred: that serves concurrent execution only. Creating a group costs more
	// than executing a small object.
	{"deferred := graphql.NewDeferredGroup(ctx)", "var deferred graphql.DeferredGroup"},
	// Write an answer into a buffer that need not grow, up to its limit.
	{"\t\t\tvar buf bytes.Buffer\n\t\t\tdata.MarshalGQL(&buf)\n\t\t\tresponse.Data = buf.Bytes()\n", "\t\t\tresponse.Data = ec.answer.Bytes(data)\n"},
	{"\t\t\tvar buf bytes.Buffer\n\t\t\tdata.MarshalGQL(&buf)\n", ""},
	{"\t\tvar buf bytes.Buffer\n\t\treturn func", "\t\treturn func"},
	{"\t\t\tdata.MarshalGQL(&buf)\n\n\t\t\treturn", "\n\t\t\treturn"},
	{"Data: buf.Bytes(),", "Data: ec.answer.Bytes(data),"},
	// A nodeId is an ID, but no GUID.
	{"ctx, rawArgs, \"nodeId\",\n\t\tfunc(ctx context.Context, v any) (string, error) {\n\t\t\treturn ec.unmarshalNID2string(ctx, v)", "ctx, rawArgs, \"nodeId\",\n\t\tfunc(ctx context.Context, v any) (string, error) {\n\t\t\treturn consoleclient.UnmarshalNodeID(v)"},
	{"ctx, rawArgs, \"nodeIds\",\n\t\tfunc(ctx context.Context, v any) ([]string, error) {\n\t\t\treturn ec.unmarshalNID2ᚕstringᚄ(ctx, v)", "ctx, rawArgs, \"nodeIds\",\n\t\tfunc(ctx context.Context, v any) ([]string, error) {\n\t\t\treturn consoleclient.UnmarshalNodeIDs(v)"},
}

const (
	imported = `"github.com/99designs/gqlgen/graphql"` + "\n"
	imports  = imported + "\t" + `"github.com/consoleql/consoleql/graph/sequential"` + "\n"
)

// body matches the body of a function that executes a field: the expression that is read, and
// its marshaler.
var body = regexp.MustCompile(`(?s)^(.*?\{\n)\treturn graphql\.ResolveField\(.*\t\t\treturn (obj\.[\w.]+), nil\n.*\t\t\treturn (ec\.marshal\S+)\(ctx, selections, v\)\n.*\n\t\)$`)

// direct rewrites the function of a leaf, which begins as given, so that it writes its value
// directly. It needs no context for errors, and there is no field middleware.
func direct(text, leaf string) (string, bool) {
	before, rest, ok := strings.Cut(text, leaf)
	if !ok {
		return "", false
	}
	function, after, ok := strings.Cut(rest, "\n}\n")
	parts := body.FindStringSubmatch(function)
	if !ok || parts == nil {
		return "", false
	}
	return fmt.Sprintf("%s%s%s\treturn %s(ctx, field.Selections, %s)\n}\n%s", before, leaf, parts[1], parts[3], parts[2], after), true
}

// edit applies the edits to the generated files. It fails if an edit matches nothing, which
// means that gqlgen's templates have changed.
func edit(dir string, leaves []string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("generated files: %w", err)
	}
	defer func() { _ = root.Close() }() // every write through it is checked
	files, err := fs.Glob(root.FS(), "*.generated.go")
	if err != nil {
		return fmt.Errorf("generated files: %w", err)
	}
	made, found := make([]int, len(edits)), 0
	for _, name := range files {
		before, err := root.ReadFile(name)
		if err != nil {
			return fmt.Errorf("generated file: %w", err)
		}
		text := string(before)
		if strings.Contains(text, "graphql.WrapContextMarshaler(") {
			return fmt.Errorf("%s: a scalar that is written with a context would be so when that has become another element's", name)
		}
		for i, e := range edits {
			made[i] += strings.Count(text, e.old)
			text = strings.ReplaceAll(text, e.old, e.new)
		}
		for _, leaf := range leaves {
			if edited, ok := direct(text, leaf); ok {
				text = edited
				found++
			}
		}
		if !strings.Contains(text, "bytes.Buffer") {
			text = strings.Replace(text, "\t\"bytes\"\n", "", 1)
		}
		if strings.Contains(text, "sequential.") {
			text = strings.Replace(text, imported, imports, 1)
		}
		after, err := format.Source([]byte(text)) // sorts the imports
		if err != nil {
			return fmt.Errorf("generated file %s: %w", name, err)
		}
		if bytes.Equal(before, after) {
			continue
		}
		if err := root.WriteFile(name, after, 0o600); err != nil {
			return fmt.Errorf("generated file: %w", err)
		}
	}
	for i, n := range made {
		if n == 0 {
			return fmt.Errorf("nothing to edit like %q", edits[i].old)
		}
	}
	if found == 0 || found != len(leaves) {
		return fmt.Errorf("%d of %d leaves are to be found", found, len(leaves))
	}
	return nil
}
