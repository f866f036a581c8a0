package oracle

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// change is a generated mutation, with the location of its payload's entity.
type change struct {
	operation
	field string // field of Mutation
	typ   string // type of the changed entity
	path  string // console path of the changed entity
	ids   []string
	many  bool // the payload holds a list
}

// mutation generates a change in the main department.
func (g *generator) mutation(in *targetDepartment) change {
	workflow, queue, pkg := oneOf(g, in.workflows()...), oneOf(g, in.queues()...), oneOf(g, in.packages()...)
	robot := oneOf(g, in.robots()...)
	p, _ := in.data.Package(pkg)
	w, _ := in.data.Workflow(workflow)
	running, _ := in.data.Package(w.PackageID)
	name := fmt.Sprint("Changed ", g.IntN(1000))
	type input = map[string]any
	switch g.IntN(13) {
	case 0, 1:
		changed := input{"id": workflow}
		for range 1 + g.IntN(3) {
			maps.Copy(changed, oneOf(g, input{"name": name}, input{"priority": g.IntN(5001)}, input{"associatedQueueId": oneOf[any](g, queue, nil)},
				input{"tags": []any{name}}, input{"properties": input{"a": name, "B": "b"}}, input{"triggerPolicy": "ANY_TIME"},
				input{"packageVersionId": oneOf(g, running.Versions...).ID}, input{"videoRecordMode": "ALWAYS_REPORT"}))
		}
		return g.change("updateWorkflow", "Workflow", changed, workflow)
	case 2:
		return g.change("updateQueue", "Queue", input{"id": queue, "name": name, "tags": []any{"t"}}, queue)
	case 3:
		return g.change("updatePackage", "Package", input{"id": pkg, "tags": []any{name}}, pkg)
	case 4:
		return g.change("createQueue", "Queue", input{"name": name})
	case 5:
		return g.change("createWorkflow", "Workflow", input{"name": name, "packageId": pkg, "packageVersionId": p.Versions[0].ID, "associatedQueueId": queue})
	case 6:
		return g.change("deleteQueue", "Queue", input{"id": in.queues()[0]}, in.queues()[0]) // the newest queue; its creator does not matter
	case 7:
		return g.change("deleteWorkflow", "Workflow", input{"id": in.workflows()[0]}, in.workflows()[0])
	case 8, 9:
		return g.change("addWorkflowRobots", "Workflow", input{"workflowId": workflow, "robotIds": []any{robot, oneOf(g, in.robots()...)}}, workflow)
	case 10:
		if len(w.RobotIDs) > 0 {
			robot = oneOf(g, w.RobotIDs...)
		}
		return g.change("removeWorkflowRobot", "Workflow", input{"workflowId": workflow, "robotId": robot}, workflow)
	case 11:
		ids := []string{workflow, oneOf(g, in.workflows()...)}
		return g.change("upgradeWorkflows", "Workflow", input{"workflowIds": []any{ids[0], ids[1]}}, slices.Compact(ids)...)
	default:
		if layout := oneOf(g, in.layouts()...); g.percent(50) {
			return g.change("executeWorkflowLayout", "WorkflowLayout", input{"id": layout}, layout)
		}
		return g.change("executeWorkflow", "Workflow", input{"id": workflow}, workflow)
	}
}

// change writes a mutation whose payload is selected as deeply as a query's answer.
func (g *generator) change(field, typ string, input map[string]any, ids ...string) change {
	c := change{field: field, typ: typ, path: strings.ToLower(typ) + "s", ids: ids, many: field == "upgradeWorkflows"}
	g.declared = append(g.declared, "$input: "+strings.ToUpper(field[:1])+field[1:]+"Input!")
	g.variables["input"] = input
	holds := fieldOf(typ)
	if c.many {
		holds += "s"
	}
	payload := "{ deletedId }"
	if !strings.HasPrefix(field, "delete") {
		payload = "{ " + holds + " " + g.selection(g.schema.Types[typ], 2, max(1, len(ids))) + " }"
	}
	if strings.HasPrefix(field, "create") {
		payload = "{ created: " + holds + " { id } " + payload[2:]
	}
	c.operation = g.document("mutation", "{ "+field+"(input: $input) "+payload+" }")
	return c
}

func fieldOf(typ string) string { return strings.ToLower(typ[:1]) + typ[1:] }

// witness returns a query of the entity that a change affects.
func (g *generator) witness(c change) operation {
	def, field := g.schema.Types[c.typ], fieldOf(c.typ)
	text := field + "s(first: 3) { totalCount nodes " + g.selection(def, 2, 3) + " }"
	for _, id := range c.ids[:min(len(c.ids), 1)] {
		text += fmt.Sprintf(" %s(id: %q) %s", field, id, g.selection(def, 2, 1))
	}
	return g.document("query", "{ "+text+" }")
}

// payloadOf returns the payload of a successful change.
func (ex *execution) payloadOf(c change, at requestScope) (any, error) {
	if strings.HasPrefix(c.field, "delete") {
		return consoleObject{fields: map[string]any{"deletedid": c.ids[0]}}, nil
	}
	all := make([]any, len(c.ids))
	for i, id := range c.ids {
		var err error
		if all[i], err = ex.one(ex.user, at, c.path, id); err != nil {
			return nil, err
		}
	}
	fields := map[string]any{"workflows": all}
	for _, field := range []string{"workflow", "queue", "package", "workflowlayout"} {
		fields[field] = all[0]
	}
	return consoleObject{fields: fields}, nil
}
