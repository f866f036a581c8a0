package oracle

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

// arguments writes a field's arguments and returns the maximum number of its objects.
func (g *generator) arguments(f *ast.FieldDefinition, times int) (text string, n int) {
	n = map[string]int{
		"companies": 3, "departments": 12, "children": 3, "versions": 6, "robots": 3, "arguments": 4, "byStatus": 4, "unavailable": 2,
		"queues": 2, "workflows": 3, "layouts": 2, "nodes": 6,
	}[f.Name]
	n = max(n, 1)
	if f.Arguments.ForName("first") != nil {
		return g.listArguments(f, times)
	}
	var parts []string
	for _, arg := range f.Arguments {
		switch arg.Name {
		case "id":
			parts = append(parts, "id: "+g.id(f.Name, "ID!"))
		case "name":
			if g.percent(40) {
				parts = append(parts, "name: "+g.string("String"))
			}
		case "subtree":
			if subtree := g.percent(60); g.percent(70) {
				parts = append(parts, "subtree: "+g.generate("Boolean!", strconv.FormatBool(subtree), subtree))
			}
		case "seconds":
			if seconds := g.seconds(); g.percent(70) {
				parts = append(parts, "seconds: "+g.generate("Int!", strconv.Itoa(seconds), seconds))
			}
		case "nodeId":
			id := g.nodeID()
			parts = append(parts, "nodeId: "+g.generate("ID!", strconv.Quote(id), id))
		case "nodeIds":
			parts = append(parts, "nodeIds: "+g.texts("ID", "!", some(g, 6, g.nodeID)...))
		}
	}
	return inParentheses(parts), n
}

func inParentheses(parts []string) string {
	if len(parts) == 0 {
		return ""
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

// seconds is an age of a heartbeat. Some robots of the irregular console are as old as none of them.
func (g *generator) seconds() int { return oneOf(g, 0, 10, 300, 3600, 86_400, 30*86_400) }

func (g *generator) nodeID() string {
	return oneOf(g, g.names.nodes[oneOf(g, "Company", "Department", "Package", "Queue", "Robot", "Workflow", "WorkflowLayout")]...)
}

// some returns 0 to most values.
func some(g *generator, most int, value func() string) []string {
	all := make([]string, g.IntN(most+1))
	for i := range all {
		all[i] = value()
	}
	return all
}

// texts writes a list of strings or ids, or one without brackets, which is a list, too.
func (g *generator) texts(of, nonNull string, values ...string) string {
	quoted, given := make([]string, len(values)), make([]any, len(values))
	for i, v := range values {
		quoted[i], given[i] = strconv.Quote(v), v
	}
	if len(values) == 1 && g.percent(20) {
		return quoted[0]
	}
	return g.generate("["+of+"!]"+nonNull, "["+strings.Join(quoted, ", ")+"]", given)
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
	if g.percent(30) {
		parts = append(parts, "orderBy: "+g.orderBy(g.schema.Types[f.Arguments.ForName("orderBy").Type.Name()]))
	}
	if g.percent(45) {
		parts = append(parts, "filter: "+g.filter(g.schema.Types[f.Arguments.ForName("filter").Type.Name()]))
	}
	optional := []string{"order", "orderBy", "filter", "after", "offset"}
	if f.Arguments.ForName("departmentIds") != nil {
		optional = append(optional, "departmentIds")
		if g.percent(40) {
			parts = append(parts, "departmentIds: "+g.texts("ID", "", some(g, 5, func() string { return g.anyID("department") })...))
		}
	}
	for _, name := range optional {
		if g.percent(3) && !slices.ContainsFunc(parts, func(p string) bool { return strings.HasPrefix(p, name+":") }) {
			parts = append(parts, name+": "+g.none(f.Arguments.ForName(name).Type.String()))
		}
	}
	g.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return inParentheses(parts), max(n, 1)
}

// orderBy writes an order.
func (g *generator) orderBy(def *ast.Definition) string {
	field := oneOf(g, g.schema.Types[def.Fields.ForName("field").Type.Name()].EnumValues...).Name
	text, value := "field: "+field, map[string]any{"field": field}
	if g.percent(70) {
		direction := oneOf(g, "ASC", "DESC")
		text, value["direction"] = text+", direction: "+direction, direction
	}
	return g.generate(def.Name, "{"+text+"}", value)
}

// filter writes some fields of a filter.
func (g *generator) filter(def *ast.Definition) string {
	var parts []string
	for range 1 + g.IntN(2) {
		f := def.Fields[g.IntN(len(def.Fields))]
		if slices.ContainsFunc(parts, func(p string) bool { return strings.HasPrefix(p, f.Name+":") }) {
			continue
		}
		value := g.filterValue
		if g.percent(8) {
			value = func(_ string, f *ast.FieldDefinition) string { return g.none(f.Type.String()) }
		}
		parts = append(parts, f.Name+": "+value(strings.TrimSuffix(def.Name, "Filter"), f))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// filterValue writes a value of a field of the filter of a type.
func (g *generator) filterValue(typ string, f *ast.FieldDefinition) string {
	switch f.Type.String() {
	case "[ID!]":
		return g.texts("ID", "", some(g, 6, func() string { return g.anyID(fieldOf(typ)) })...)
	case "[String!]":
		return g.texts("String", "", some(g, 2, func() string {
			return oneOf(g, "finance", "hr", "it", "supply-chain", "daily", "monthly", "shared", "t", "no such tag")
		})...)
	case "[RobotStatus!]":
		status := some(g, 3, func() string { return oneOf(g, "DISCONNECTED", "READY", "BUSY") })
		given := make([]any, len(status))
		for i := range status {
			given[i] = status[i]
		}
		return g.generate("[RobotStatus!]", "["+strings.Join(status, ", ")+"]", given)
	case "Boolean":
		yes := g.percent(50)
		return g.generate("Boolean", strconv.FormatBool(yes), yes)
	case "Int":
		seconds := g.seconds()
		return g.generate("Int", strconv.Itoa(seconds), seconds)
	case "ID":
		return g.id(map[string]string{"associatedQueueId": "queue", "packageId": "package", "packageVersionId": "version"}[f.Name], "ID")
	case "DateTime":
		at := time.Date(2024, 1, 8, 8, 0, 0, 0, time.UTC).Add(time.Duration(g.IntN(700*24)) * time.Hour)
		value := at.In(time.FixedZone("", oneOf(g, 0, 0, 8*3600, -5400))).Format(time.RFC3339)
		return g.generate("DateTime", strconv.Quote(value), value)
	case "String":
		return g.string("String")
	default:
		return "? no value of " + f.Type.String() // the document is invalid, which fails the test
	}
}
