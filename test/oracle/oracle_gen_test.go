package oracle

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

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
	nodes map[string][]string // nodeIds by type
	parts []string            // parts of names
}

func namesOf(data *consolesim.Data) *names {
	n := &names{ids: make(map[string][]string), nodes: make(map[string][]string), parts: []string{"", "0", "A", "·", "报", "erp", "no such name", "%", "&Name=x", "\u00e9"}}
	var at requestScope
	add := func(field string, times int, ids ...string) {
		for range times {
			n.ids[field] = append(n.ids[field], ids...)
		}
		typ := strings.ToUpper(field[:1]) + field[1:]
		for _, id := range ids {
			n.nodes[typ] = append(n.nodes[typ], nodeID(typ, consoleObject{fields: map[string]any{"id": id}, in: at}))
		}
	}
	for _, c := range data.Companies() {
		at = requestScope{company: c.ID}
		add("company", 1, c.ID)
		for _, d := range data.Departments(c.ID) {
			at.department = d.ID
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
		n.ids["version"] = append(n.ids["version"], p.Latest().ID, p.Versions[0].ID)
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

// isComputed reports whether the gateway computes a field from lists.
func isComputed(def *ast.Definition, f *ast.FieldDefinition) bool {
	return strings.HasSuffix(f.Type.Name(), "Counts") || f.Name == "unused" || f.Name == "outdated" ||
		def.Name == "Company" && f.Arguments.ForName("departmentIds") != nil ||
		slices.Contains([]string{"Robot.workflows", "Robot.queues", "Workflow.layouts"}, def.Name+"."+f.Name)
}

// composite reports whether a field needs a selection.
func (g *generator) composite(f *ast.FieldDefinition) bool {
	kind := g.schema.Types[f.Type.Name()].Kind
	return kind == ast.Object || kind == ast.Interface
}

// nodeSelection generates a selection on the interface Node. It selects fields of one type only: those of several types
// may not be merged.
func (g *generator) nodeSelection(depth, times int) string {
	typ := oneOf(g, slices.Sorted(maps.Keys(g.names.nodes))...)
	parts := []string{"__typename", "nodeId" + g.condition(), "... on " + typ + g.condition() + " " + g.selection(g.schema.Types[typ], depth+1, times)}
	return "{ " + strings.Join(parts[g.IntN(2):], " ") + " }"
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
		full := depth >= deepest || g.spent > heaviest || g.selected > longest || times > widest
		return strings.HasPrefix(f.Name, "__") || g.composite(f) && full
	})
	// Relations are fewer than plain fields, but more interesting.
	onward := slices.DeleteFunc(slices.Clone(fields), func(f *ast.FieldDefinition) bool { return !g.composite(f) })
	computed := slices.DeleteFunc(slices.Clone(fields), func(f *ast.FieldDefinition) bool { return !isComputed(def, f) })
	switch {
	case len(computed) > 0 && g.percent(20):
		fields = computed
	case len(onward) > 0 && g.percent(40):
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
	switch {
	case !g.composite(f):
		return []string{head + g.condition()}
	case below.Kind == ast.Interface:
		return []string{head + g.condition() + " " + g.nodeSelection(depth+1, times*n)}
	}
	parts := []string{head + g.condition() + " " + g.selection(below, depth+1, times*n)}
	if g.selected < longest && g.percent(12) {
		parts = append(parts, head+" "+g.selection(below, depth+1, times*n)) // the two are merged
	}
	return parts
}

// id writes an id for the field: of an entity here or elsewhere, or of none.
func (g *generator) id(field, typ string) string {
	id := g.anyID(field)
	return g.generate(typ, strconv.Quote(id), id)
}

func (g *generator) anyID(field string) string {
	id := oneOf(g, g.names.ids[field]...)
	switch g.IntN(20) {
	case 0:
		return e2e.UnknownID
	case 1:
		return strings.ToUpper(id)
	}
	return id
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
