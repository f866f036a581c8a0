// Command generate writes how the console's answers are read into the client's structs:
// for each struct a method that reads its members, and a table of their names.
//
// It is run in the package's directory with the names of the structs that answers hold;
// those within them it finds itself. What it writes is held to encoding by json's own
// decoder in the package's tests.
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
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

const output = "readers_generated.go"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(roots []string) error {
	p, err := parse(".")
	if err != nil {
		return err
	}
	for _, root := range roots {
		if err := p.want(root); err != nil {
			return err
		}
	}
	code, err := format.Source(p.write())
	if err != nil {
		return fmt.Errorf("what was made of the structs is not Go: %w", err)
	}
	return os.WriteFile(output, code, 0o644) //nolint:gosec // source code, for all to read
}

// pkg is what the package's source says of its types.
type pkg struct {
	structs  map[string]*ast.StructType
	readers  map[string]bool   // types that read themselves
	enums    map[string]string // names of the enums' tables by type
	forgives map[string]bool   // "[]T": lists without what is no object; "T": what is no object is an empty one
	wanted   []string          // structs, sorted at the end
	nested   []string          // of them those that others hold
}

// parse reads the package's sources without what this command writes, so that it can
// also be run when that is not there or does not fit.
func parse(dir string) (*pkg, error) {
	p := &pkg{structs: map[string]*ast.StructType{}, readers: map[string]bool{}, enums: map[string]string{}, forgives: map[string]bool{}}
	names, err := fs.Glob(os.DirFS(dir), "*.go")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if name == output || strings.HasSuffix(name, "_test.go") {
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

// note takes down what a node says of the package's types.
func (p *pkg) note(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.TypeSpec:
		if s, ok := n.Type.(*ast.StructType); ok {
			p.structs[n.Name.Name] = s
		}
	case *ast.FuncDecl:
		if n.Recv == nil || n.Name.Name != "UnmarshalJSONFrom" && n.Name.Name != "UnmarshalJSON" {
			break
		}
		typ := nameOf(n.Recv.List[0].Type)
		p.readers[typ] = true
		if table := tableOf(n.Body); table != "" {
			p.enums[typ] = table
		}
	case *ast.IndexExpr: // decoding forgives what decodeObjects and decodeObject are made for
		switch typ := nameOf(n.Index); nameOf(n.X) {
		case "decodeObjects":
			p.forgives["[]"+typ] = true
		case "decodeObject":
			p.forgives[typ] = true
		}
	}
	return true
}

// tableOf gives the name of the table that decodeEnum is called with, if it is all that a body does.
func tableOf(body *ast.BlockStmt) string {
	if len(body.List) != 1 {
		return ""
	}
	result, ok := body.List[0].(*ast.ReturnStmt)
	if !ok || len(result.Results) != 1 {
		return ""
	}
	if call, ok := result.Results[0].(*ast.CallExpr); ok && nameOf(call.Fun) == "decodeEnum" {
		return nameOf(call.Args[0])
	}
	return ""
}

// nameOf gives the name that an expression consists of, with or without a star before it.
func nameOf(e ast.Expr) string {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if name, ok := e.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

// want takes down that a struct is read, and those within it.
func (p *pkg) want(name string) error {
	if slices.Contains(p.wanted, name) {
		return nil
	}
	if !p.isRead(name) {
		return fmt.Errorf("%s is not a struct that can be read by its members", name)
	}
	p.wanted = append(p.wanted, name)
	for _, f := range p.fields(name) {
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

// inner gives the struct that a field holds by a pointer or by a list of them, if it is read by its members.
func (p *pkg) inner(t ast.Expr) string {
	if list, ok := t.(*ast.ArrayType); ok {
		t = list.Elt
	}
	if star, ok := t.(*ast.StarExpr); ok && p.isRead(nameOf(star.X)) {
		return nameOf(star.X)
	}
	return ""
}

// isRead says whether a type is a struct that asks of json nothing but names.
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

// field is a field that answers fill.
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
	tag, _ := strconv.Unquote(f.Tag.Value) // of a file that was parsed
	return reflect.StructTag(tag).Get("json")
}

func (p *pkg) write() []byte {
	slices.Sort(p.wanted)
	slices.Sort(p.nested)
	var b bytes.Buffer
	b.WriteString("// Code generated by ./generate; DO NOT EDIT.\n\npackage consoleclient\n")
	b.WriteString("\n// objects are what structs that lie in others are made of.\ntype objects struct {\n")
	for _, name := range p.nested {
		fmt.Fprintf(&b, "\t%s slab[%s]\n", lowered(name), name)
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

// lowered gives a type's name as that of something unexported.
func lowered(name string) string { return strings.ToLower(name[:1]) + name[1:] }

// read gives the call that reads a field.
func (p *pkg) read(f field) string {
	at := "s, &e." + f.name
	text, texts := "readString", "readTexts"
	if strings.HasSuffix(f.name, "ID") || f.name == "CreatedBy" || f.name == "ModifiedBy" { // users, by their ids
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
		return fmt.Sprintf("readObjects(%s, &s.kept.%s, %t)", at, lowered(inner), p.forgives["[]"+inner])
	case inner != "":
		return fmt.Sprintf("readObject(%s, &s.kept.%s, %t)", at, lowered(inner), p.forgives[inner])
	case isTexts(f.typ):
		return fmt.Sprintf("%s(%s)", texts, at)
	}
	star, pointer := f.typ.(*ast.StarExpr)
	switch typ := nameOf(f.typ); {
	case pointer && typ == "string":
		return fmt.Sprintf("%sPointer(%s)", text, at)
	case pointer && typ == "Int":
		return fmt.Sprintf("readPointer(%s, &s.kept.ints, readInt)", at)
	case pointer && typ == "" && isTexts(star.X):
		return fmt.Sprintf("readPointer(%s, &s.kept.lists, %s)", at, texts)
	case !pointer:
		if reader := map[string]string{"string": text, "bool": "readBool", "Int": "readInt", "DateTime": "readDateTime", "StringMap": "readStringMap"}[typ]; reader != "" {
			return fmt.Sprintf("%s(%s)", reader, at)
		}
	}
	return fmt.Sprintf("readOther(%s)", at)
}

// isTexts says whether a type is []string.
func isTexts(e ast.Expr) bool {
	list, ok := e.(*ast.ArrayType)
	if !ok {
		return false
	}
	elem, ok := list.Elt.(*ast.Ident)
	return ok && elem.Name == "string"
}
