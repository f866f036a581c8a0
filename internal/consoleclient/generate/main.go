// Command generate writes the JSON readers of the client's structs: for each struct a method that reads its members,
// and a table of their names. For each enum table made by newEnum it writes the text forms.
//
// It runs in the package's directory. The structs are those that the methods of Client return, and their nested structs.
// The package's tests compare the readers with json's own decoder.
package main

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// The generated files.
const (
	readersFile = "readers_generated.go"
	enumsFile   = "enums_generated.go"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run() error {
	p, err := parse(".")
	if err != nil {
		return err
	}
	for _, name := range p.returned {
		if p.structs[name] == nil || p.readers[name] {
			continue
		}
		if err := p.want(name); err != nil {
			return err
		}
	}
	if err := writeSource(readersFile, p.write()); err != nil {
		return err
	}
	return writeSource(enumsFile, p.writeEnums())
}

func writeSource(name string, text []byte) error {
	code, err := format.Source(text)
	if err != nil {
		return fmt.Errorf("%s: the text is not Go: %w", name, err)
	}
	return os.WriteFile(name, code, 0o644) //nolint:gosec // source code, for all to read
}

// pkg describes the types in the package's source.
type pkg struct {
	structs  map[string]*ast.StructType
	readers  map[string]bool   // types with their own UnmarshalJSON or UnmarshalJSONFrom
	enums    map[string]string // by type, the name of its table
	lenient  map[string]bool   // structs for which another value becomes an empty object
	returned []string          // types that exported methods of Client return
	wanted   []string          // structs, sorted at the end
	nested   []string          // those of wanted that other structs contain
	listed   []string          // structs in lists of other structs
}

// parse reads the package's sources except the generated files, so that it also works when those are missing or
// outdated.
func parse(dir string) (*pkg, error) {
	p := &pkg{structs: map[string]*ast.StructType{}, readers: map[string]bool{}, enums: map[string]string{}, lenient: map[string]bool{}}
	names, err := fs.Glob(os.DirFS(dir), "*.go")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if name == readersFile || name == enumsFile || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		ast.Inspect(file, p.note)
	}
	return p, nil
}

// note records what a node declares about the package's types.
func (p *pkg) note(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.TypeSpec:
		if s, ok := n.Type.(*ast.StructType); ok {
			p.structs[n.Name.Name] = s
		}
	case *ast.FuncDecl:
		if n.Recv != nil && n.Name.IsExported() && nameOf(n.Recv.List[0].Type) == "Client" && n.Type.Results != nil {
			p.returned = append(p.returned, elementOf(n.Type.Results.List[0].Type))
		}
		if n.Recv == nil || n.Name.Name != "UnmarshalJSONFrom" && n.Name.Name != "UnmarshalJSON" {
			break
		}
		p.readers[nameOf(n.Recv.List[0].Type)] = true
	case *ast.ValueSpec:
		for i, value := range n.Values {
			if typ := enumOf(value); typ != "" {
				p.enums[typ], p.readers[typ] = n.Names[i].Name, true
			}
		}
	case *ast.IndexExpr: // a type argument of decodeObject
		if nameOf(n.X) == "decodeObject" {
			p.lenient[nameOf(n.Index)] = true
		}
	}
	return true
}

// enumOf returns the name of the enum if value is a call of newEnum, else "".
func enumOf(value ast.Expr) string {
	call, ok := value.(*ast.CallExpr)
	if !ok || nameOf(call.Fun) != "newEnum" {
		return ""
	}
	name, ok := call.Args[0].(*ast.BasicLit)
	if !ok {
		return ""
	}
	typ, _ := strconv.Unquote(name.Value) // a parsed literal is valid
	return typ
}

// elementOf returns the name of a type, or of the elements of its list or page.
func elementOf(e ast.Expr) string {
	switch t := e.(type) {
	case *ast.StarExpr:
		return elementOf(t.X)
	case *ast.ArrayType:
		return elementOf(t.Elt)
	case *ast.IndexExpr:
		return elementOf(t.Index)
	default:
		return nameOf(e)
	}
}

// nameOf returns the identifier of an expression, with or without a star before it, else "".
func nameOf(e ast.Expr) string {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if name, ok := e.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

// want marks a struct and its nested structs for generation.
func (p *pkg) want(name string) error {
	if slices.Contains(p.wanted, name) {
		return nil
	}
	if !p.isRead(name) {
		return fmt.Errorf("%s is not a struct that can be read by its members", name)
	}
	p.wanted = append(p.wanted, name)
	for _, f := range p.fields(name) {
		if list, ok := f.typ.(*ast.ArrayType); ok && p.structs[elementOf(list)] != nil {
			p.listed = append(p.listed, elementOf(list))
		}
		if inner := p.inner(f.typ); inner != "" {
			if !slices.Contains(p.nested, inner) {
				p.nested = append(p.nested, inner)
			}
			if err := p.want(inner); err != nil {
				return err
			}
		}
	}
	return nil
}

// inner returns the struct that a field holds by pointer or in a list of pointers, if it has a generated reader.
func (p *pkg) inner(t ast.Expr) string {
	if list, ok := t.(*ast.ArrayType); ok {
		t = list.Elt
	}
	if star, ok := t.(*ast.StarExpr); ok && p.isRead(nameOf(star.X)) {
		return nameOf(star.X)
	}
	return ""
}

// isRead reports whether a type is a struct whose JSON tags hold only names and omitzero.
func (p *pkg) isRead(name string) bool {
	s := p.structs[name]
	if s == nil || p.readers[name] {
		return false
	}
	for _, f := range s.Fields.List {
		_, options, _ := strings.Cut(jsonTag(f), ",")
		if len(f.Names) == 0 || options != "" && options != "omitzero" || strings.ContainsAny(jsonTag(f), `'"\`) {
			return false
		}
	}
	return true
}

// field is a field that responses fill.
type field struct {
	name, member string
	typ          ast.Expr
}

func (p *pkg) fields(name string) (out []field) {
	for _, f := range p.structs[name].Fields.List {
		for _, id := range f.Names {
			tag := jsonTag(f)
			member, _, _ := strings.Cut(tag, ",")
			if id.IsExported() && tag != "-" {
				out = append(out, field{name: id.Name, member: cmp.Or(member, id.Name), typ: f.Type})
			}
		}
	}
	return out
}

func jsonTag(f *ast.Field) string {
	if f.Tag == nil {
		return ""
	}
	tag, _ := strconv.Unquote(f.Tag.Value) // a parsed literal is valid
	return reflect.StructTag(tag).Get("json")
}

func (p *pkg) write() []byte {
	slices.Sort(p.wanted)
	slices.Sort(p.nested)
	slices.Sort(p.listed)
	var b bytes.Buffer
	b.WriteString("// Code generated by ./generate; DO NOT EDIT.\n\npackage consoleclient\n\nimport (\n\t\"github.com/go-json-experiment/json\"\n\n\t\"github.com/consoleql/consoleql/internal/slab\"\n)\n")
	b.WriteString("\n// objectLists decodes the lists of structs.\nfunc objectLists() *json.Unmarshalers {\n\treturn json.JoinUnmarshalers(\n")
	for _, name := range slices.Compact(p.listed) {
		fmt.Fprintf(&b, "\t\tjson.UnmarshalFromFunc(decodeObjects[%s]),\n", name)
	}
	b.WriteString("\t)\n}\n")
	b.WriteString("\n// objects holds an allocator for each nested struct type.\ntype objects struct {\n")
	for _, name := range p.nested {
		fmt.Fprintf(&b, "\t%s slab.Allocator[%s]\n", lowered(name), name)
	}
	b.WriteString("}\n")
	for _, name := range p.wanted {
		fields := p.fields(name)
		table := lowered(name) + "Members"
		fmt.Fprintf(&b, "\nvar %s = newMembers(", table)
		for _, f := range fields {
			fmt.Fprintf(&b, "%q, ", f.member)
		}
		fmt.Fprintf(&b, ")\n\nfunc (e *%s) read(s *scanner) error {\n\to := object{members: %s}\n", name, table)
		b.WriteString("\tfor {\n\t\tfield, err := s.field(&o)\n\t\tif err != nil {\n\t\t\treturn err\n\t\t}\n\t\tswitch field {\n")
		for i, f := range fields {
			fmt.Fprintf(&b, "\t\tcase %d:\n\t\t\terr = %s\n", i, p.read(f))
		}
		b.WriteString("\t\tcase noMore:\n\t\t\treturn nil\n\t\tdefault:\n\t\t\terr = s.skip(s.peek())\n\t\t}\n\t\tif err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n}\n")
	}
	return b.Bytes()
}

// enumTemplate is the text of an enum's methods. Its arguments are the type and the table.
const enumTemplate = `
// MarshalText returns the documented name, empty for the unknown value.
func (v %[1]s) MarshalText() ([]byte, error) { return text(%[2]s, v) }

// UnmarshalJSONFrom accepts names and integers. Any other value becomes %[1]sUnknown.
func (v *%[1]s) UnmarshalJSONFrom(d *jsontext.Decoder) error { return decodeEnum(%[2]s, v, d) }

// MarshalGQL writes the name in SCREAMING_SNAKE_CASE.
func (v %[1]s) MarshalGQL(w io.Writer) { writeGQL(%[2]s, v, w) }

// UnmarshalGQL fails with fault.BadUserInput for UNKNOWN and for any other text that is no value.
func (v *%[1]s) UnmarshalGQL(input any) error { return readGQL(%[2]s, v, input) }
`

func (p *pkg) writeEnums() []byte {
	var b bytes.Buffer
	b.WriteString("// Code generated by ./generate; DO NOT EDIT.\n\npackage consoleclient\n\nimport (\n\t\"io\"\n\n\t\"github.com/go-json-experiment/json/jsontext\"\n)\n")
	for _, typ := range slices.Sorted(maps.Keys(p.enums)) {
		fmt.Fprintf(&b, enumTemplate, typ, p.enums[typ])
	}
	return b.Bytes()
}

// lowered returns a type's name with a lower-case initial.
func lowered(name string) string { return strings.ToLower(name[:1]) + name[1:] }

// read returns the call that reads a field.
func (p *pkg) read(f field) string {
	at := "s, &e." + f.name
	text, texts := "readString", "readTexts"
	if strings.HasSuffix(f.name, "ID") || f.name == "CreatedBy" || f.name == "ModifiedBy" { // users' ids
		text = "readID"
	} else if strings.HasSuffix(f.name, "IDs") {
		texts = "readIDs"
	}
	inner := p.inner(f.typ)
	if table := p.enums[nameOf(f.typ)]; table != "" {
		if _, pointer := f.typ.(*ast.StarExpr); pointer {
			return fmt.Sprintf("readEnumPointer(%s, %s)", at, table)
		}
		return fmt.Sprintf("readEnum(%s, %s)", at, table)
	}
	switch _, isList := f.typ.(*ast.ArrayType); {
	case inner != "" && isList:
		return fmt.Sprintf("readObjects(%s, &s.arena.%s)", at, lowered(inner))
	case inner != "":
		return fmt.Sprintf("readObject(%s, &s.arena.%s, %t)", at, lowered(inner), p.lenient[inner])
	case isTexts(f.typ):
		return fmt.Sprintf("%s(%s)", texts, at)
	}
	star, pointer := f.typ.(*ast.StarExpr)
	switch typ := nameOf(f.typ); {
	case pointer && typ == "string":
		return fmt.Sprintf("%sPointer(%s)", text, at)
	case pointer && typ == "Int":
		return fmt.Sprintf("readPointer(%s, &s.arena.ints, readInt)", at)
	case pointer && typ == "" && isTexts(star.X):
		return fmt.Sprintf("readPointer(%s, &s.arena.lists, %s)", at, texts)
	case !pointer:
		if reader := map[string]string{"string": text, "bool": "readBool", "Int": "readInt", "DateTime": "readDateTime", "StringMap": "readStringMap"}[typ]; reader != "" {
			return fmt.Sprintf("%s(%s)", reader, at)
		}
	}
	return fmt.Sprintf("readOther(%s)", at)
}

// isTexts reports whether a type is []string.
func isTexts(e ast.Expr) bool {
	list, ok := e.(*ast.ArrayType)
	if !ok {
		return false
	}
	elem, ok := list.Elt.(*ast.Ident)
	return ok && elem.Name == "string"
}
