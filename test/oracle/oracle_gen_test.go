package oracle

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// Bounds of a generated operation.
const (
	deepest  = 9   // nesting of selections
	widest   = 80  // maximum number of objects for one selection
	heaviest = 500 // approximate number of objects of an operation
	longest  = 40  // approximate number of selections of an operation
)

// operation is a document with its variables.
type operation struct {
	text      string
	variables map[string]any
}

// generator generates valid operations over the whole schema.
type generator struct {
	*rand.Rand
	schema *ast.Schema
	names  *names

	operation
	declared  []string // variables
	fragments []fragment
	spent     int             // objects so far
	selected  int             // selections so far
	plain     map[string]bool // fields that are selected with arguments and without an alias
	made      int             // number of generated names
}

// fragment is a complete named fragment, and where else it can be spread.
type fragment struct {
	name, on, text string
	depth, times   int
}

// names contains possible values of arguments.
type names struct {
	ids   map[string][]string // by the field that accepts them
	parts []string            // parts of names
}

func namesOf(data *consolesim.Data) *names {
	n := &names{ids: make(map[string][]string), parts: []string{"", "0", "A", "·", "报", "erp", "no such name", "%", "&Name=x", "\u00e9"}}
	add := func(field string, times int, ids ...string) {
		for range times {
			n.ids[field] = append(n.ids[field], ids...)
		}
	}
	for _, c := range data.Companies() {
		add("company", 1, c.ID)
		for _, d := range data.Departments(c.ID) {
			times := 1 // repetitions of each id, so that most are of the main department
			if d.ID == data.MainDepartmentID() {
				times = 3
			}
			add("department", times, d.ID)
			add("package", times, data.PackageIDs(d.ID)...)
			add("queue", times, data.QueueIDs(d.ID)...)
			add("robot", times, data.RobotIDs(d.ID)...)
			add("workflow", times, data.WorkflowIDs(d.ID)...)
			add("workflowLayout", times, data.LayoutIDs(d.ID)...)
		}
	}
	for _, id := range n.ids["package"] {
		p, _ := data.Package(id)
		add("version", 1, p.Latest().ID, p.Versions[0].ID)
		n.parts = append(n.parts, p.Name, strings.ToUpper(strings.ToValidUTF8(p.Name[:len(p.Name)/2], "")))
	}
	return n
}

func newGenerator(r *rand.Rand, schema *ast.Schema, names *names) *generator {
	return &generator{
		Rand: r, schema: schema, names: names,
		operation: operation{variables: make(map[string]any)}, plain: make(map[string]bool),
	}
}

func oneOf[T any](g *generator, all ...T) T { return all[g.IntN(len(all))] }

// percent returns true in n of 100 cases.
func (g *generator) percent(n int) bool { return g.IntN(100) < n }

// Query generates a query.
func (g *generator) Query() operation {
	return g.document("query", g.selection(g.schema.Query, 0, 1))
}

func (g *generator) document(kind, selection string) operation {
	head := kind + " Generated"
	if len(g.declared) > 0 {
		head += "(" + strings.Join(g.declared, ", ") + ")"
	}
	parts := []string{head + " " + selection}
	for _, f := range g.fragments {
		parts = append(parts, f.text)
	}
	g.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return operation{strings.Join(parts, "\n"), g.variables}
}

// selection generates a selection on a type at a depth, for the given number of objects.
func (g *generator) selection(def *ast.Definition, depth, times int) string {
	g.spent += times
	g.selected++
	var parts []string
	for range 1 + g.IntN(5) {
		switch {
		case g.percent(6):
			parts = append(parts, oneOf(g, "", "kind: ")+"__typename"+g.condition())
		case depth < deepest && g.selected < longest && g.percent(8):
			parts = append(parts, "..."+oneOf(g, "", " on "+def.Name)+g.condition()+" "+g.selection(def, depth+1, times))
		case g.percent(8) && depth < deepest && g.selected < longest:
			parts = append(parts, "..."+g.fragment(def, depth+1, times)+g.condition())
		default:
			parts = append(parts, g.field(def, depth, times)...)
		}
	}
	parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
	if len(parts) == 0 {
		parts = append(parts, "__typename")
	}
	return "{ " + strings.Join(parts, " ") + " }"
}

// fragment returns a new or existing fragment on a type.
func (g *generator) fragment(def *ast.Definition, depth, times int) string {
	for _, f := range g.fragments {
		if f.on == def.Name && f.depth >= depth && f.times >= times && g.percent(60) {
			g.spent += times
			return f.name
		}
	}
	g.made++
	f := fragment{name: fmt.Sprint("F", g.made), on: def.Name, depth: depth, times: times}
	f.text = fmt.Sprintf("fragment %s on %s %s", f.name, f.on, g.selection(def, depth, times))
	g.fragments = append(g.fragments, f) // appended now, since a fragment must not spread itself
	return f.name
}

// condition returns a directive, or mostly none.
func (g *generator) condition() string {
	if !g.percent(8) {
		return ""
	}
	yes := g.percent(60)
	return fmt.Sprintf(" @%s(if: %s)", oneOf(g, "include", "skip"), g.generate("Boolean!", strconv.FormatBool(yes), yes))
}

// field selects a field of a type with its selection, sometimes twice.
func (g *generator) field(def *ast.Definition, depth, times int) []string {
	fields := slices.DeleteFunc(slices.Clone(def.Fields), func(f *ast.FieldDefinition) bool {
		composite := g.schema.Types[f.Type.Name()].Kind == ast.Object
		return strings.HasPrefix(f.Name, "__") || g.schema.Types[f.Type.Name()].Kind == ast.Interface || composite && (depth >= deepest || g.spent > heaviest || g.selected > longest || times > widest)
	})
	fields = slices.DeleteFunc(fields, func(f *ast.FieldDefinition) bool {
		return strings.HasSuffix(f.Type.Name(), "Counts") || f.Name == "unavailable" || def.Name == "Company" && f.Arguments.ForName("departmentIds") != nil
	})
	// Relations are fewer than plain fields, but more interesting.
	onward := slices.DeleteFunc(slices.Clone(fields), func(f *ast.FieldDefinition) bool {
		return g.schema.Types[f.Type.Name()].Kind != ast.Object
	})
	if len(onward) > 0 && g.percent(40) {
		fields = onward
	}
	if len(fields) == 0 {
		return nil
	}
	f := fields[g.IntN(len(fields))]
	args, n := g.arguments(f, times)
	head := f.Name
	switch key := def.Name + "." + f.Name; {
	case args == "" && g.percent(15):
		head = "my_" + f.Name + ": " + f.Name
	case args != "" && g.plain[key]:
		g.made++
		head = fmt.Sprint(f.Name, g.made, ": ", f.Name)
	case len(f.Arguments) > 0:
		g.plain[key] = true // also without arguments: another selection cannot be merged with it
		if args == "" {
			g.made++
			head = fmt.Sprint(f.Name, g.made, ": ", f.Name)
		}
	}
	head += args
	below := g.schema.Types[f.Type.Name()]
	if below.Kind != ast.Object {
		return []string{head + g.condition()}
	}
	parts := []string{head + g.condition() + " " + g.selection(below, depth+1, times*n)}
	if g.selected < longest && g.percent(12) {
		parts = append(parts, head+" "+g.selection(below, depth+1, times*n)) // the two are merged
	}
	return parts
}

// arguments writes a field's arguments and returns the maximum number of its objects.
func (g *generator) arguments(f *ast.FieldDefinition, times int) (text string, n int) {
	n = map[string]int{
		"companies": 3, "departments": 12, "children": 3, "versions": 6, "robots": 3, "arguments": 4,
	}[f.Name]
	n = max(n, 1)
	if f.Arguments.ForName("first") != nil {
		return g.listArguments(f, times)
	}
	var parts []string
	if f.Arguments.ForName("id") != nil {
		parts = append(parts, "id: "+g.id(f.Name, "ID!"))
	}
	if f.Arguments.ForName("name") != nil && g.percent(40) {
		parts = append(parts, "name: "+g.string("String"))
	}
	return inParentheses(parts), n
}

func inParentheses(parts []string) string {
	if len(parts) == 0 {
		return ""
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

func (g *generator) listArguments(f *ast.FieldDefinition, times int) (text string, n int) {
	var parts []string
	room := max(1, widest/times)
	n = 20
	if room < n || g.percent(70) {
		n = g.IntN(min(room, 10) + 1)
		if g.percent(15) {
			n = g.IntN(room + 1)
		}
		parts = append(parts, "first: "+g.generate("Int", strconv.Itoa(n), n))
	}
	if g.percent(25) {
		at := g.IntN(oneOf(g, 6, 30, 80))
		if g.percent(50) {
			parts = append(parts, "after: "+g.generate("String", strconv.Quote(cursor(at)), cursor(at)))
		} else {
			parts = append(parts, "offset: "+g.generate("Int", strconv.Itoa(at), at))
		}
	}
	if g.percent(30) {
		order := oneOf(g, "ASC", "DESC")
		parts = append(parts, "order: "+g.generate("SortOrder", order, order))
	}
	if g.percent(25) {
		parts = append(parts, "filter: "+g.filter(g.schema.Types[f.Arguments.ForName("filter").Type.Name()]))
	}
	for _, name := range []string{"order", "filter", "after", "offset"} {
		if g.percent(3) && !slices.ContainsFunc(parts, func(p string) bool { return strings.HasPrefix(p, name) }) {
			parts = append(parts, name+": "+g.none(f.Arguments.ForName(name).Type.Name()))
		}
	}
	g.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return inParentheses(parts), max(n, 1)
}

// filter writes some fields of a filter.
func (g *generator) filter(def *ast.Definition) string {
	var parts []string
	for range 1 + g.IntN(2) {
		f := def.Fields[g.IntN(len(def.Fields))]
		if f.Type.Elem != nil || strings.HasPrefix(f.Name, "triggered") || slices.Contains([]string{"Boolean", "Int"}, f.Type.Name()) {
			continue // conditions of the gateway
		}
		if slices.ContainsFunc(parts, func(p string) bool { return strings.HasPrefix(p, f.Name+":") }) {
			continue
		}
		var text string
		switch {
		case g.percent(8):
			text = g.none(f.Type.Name())
		case f.Type.Name() == "ID":
			text = g.id(map[string]string{"associatedQueueId": "queue", "packageId": "package", "packageVersionId": "version"}[f.Name], "ID")
		case f.Type.Name() == "DateTime":
			at := time.Date(2024, 1, 8, 8, 0, 0, 0, time.UTC).Add(time.Duration(g.IntN(700*24)) * time.Hour)
			value := at.In(time.FixedZone("", oneOf(g, 0, 0, 8*3600, -5400))).Format(time.RFC3339)
			text = g.generate("DateTime", strconv.Quote(value), value)
		default:
			text = g.string("String")
		}
		parts = append(parts, f.Name+": "+text)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// id writes an id for the field: of an entity here or elsewhere, or of none.
func (g *generator) id(field, typ string) string {
	ids := g.names.ids[field]
	id := ids[g.IntN(len(ids))]
	switch g.IntN(20) {
	case 0:
		id = e2e.UnknownID
	case 1:
		id = strings.ToUpper(id)
	}
	return g.generate(typ, strconv.Quote(id), id)
}

func (g *generator) string(typ string) string {
	part := oneOf(g, g.names.parts...)
	return g.generate(typ, strconv.Quote(part), part)
}

// generate writes a value as a literal or as a variable.
func (g *generator) generate(typ, literal string, value any) string {
	switch {
	case g.percent(15):
		name := g.variable(typ)
		g.variables[name] = value
		return "$" + name
	case g.percent(10):
		return "$" + g.variable(strings.TrimSuffix(typ, "!")+" = "+literal)
	case typ == "Int" && g.percent(10):
		name := g.variable("Int = 1")
		g.variables[name] = value
		return "$" + name
	default:
		return literal
	}
}

// none writes null, or a variable without a value.
func (g *generator) none(typ string) string {
	switch g.IntN(3) {
	case 0:
		return "$" + g.variable(typ)
	case 1:
		name := g.variable(typ)
		g.variables[name] = nil
		return "$" + name
	default:
		return "null"
	}
}

func (g *generator) variable(declaration string) string {
	g.made++
	name := fmt.Sprint("v", g.made)
	g.declared = append(g.declared, "$"+name+": "+declaration)
	return name
}
