package oracle

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// contents maps the fields of both Query and Department to their console paths.
var contents = map[string]string{
	"packages": "packages", "queues": "queues", "robots": "robots", "workflows": "workflows", "workflowLayouts": "workflowlayouts",
	"package": "packages", "queue": "queues", "robot": "robots", "workflow": "workflows", "workflowLayout": "workflowlayouts",
}

// resolve returns the value of a field; null for a single entity that does not exist.
func (q *execution) resolve(def *ast.Definition, of consoleObject, f *ast.Field) (any, error) {
	v, err := q.resolved(def, of, f)
	name := f.Definition.Type.Name()
	list := f.Definition.Type.Elem != nil || strings.HasSuffix(name, "Connection") || strings.HasSuffix(name, "Counts")
	if !list && errors.Is(err, refusal("NOT_FOUND")) {
		return nil, nil
	}
	return v, err
}

// resolved returns the value of a field: a relation, or the console's value of that name.
func (q *execution) resolved(def *ast.Definition, of consoleObject, f *ast.Field) (any, error) {
	if f.Name == "nodeId" {
		return nodeID(def.Name, of), nil
	}
	switch def.Name {
	case "Query":
		return q.root(f)
	case "Mutation":
		return q.payload, nil
	case "Company":
		return q.ofCompany(of, f)
	case "Department":
		return q.ofDepartment(of, f)
	}
	switch f.Name {
	case "department":
		if def.Name == "UnavailableDepartment" {
			break
		}
		return q.department(q.user, of.in.company, of.in.department)
	case "company":
		return q.company(q.user, of.in.company)
	}
	switch def.Name {
	case "Robot":
		if f.Name == "queues" || f.Name == "workflows" {
			return listed(q.ofRobot(of, f.Name))
		}
	case "Package":
		return q.ofPackage(of, f)
	case "Workflow":
		return q.ofWorkflow(of, f)
	case "RobotCounts":
		if f.Name == "silent" {
			return q.silent(of.fields["robots"].([]any), q.arguments(f)["seconds"].(int)), nil
		}
	}
	switch def.Name + "." + f.Name {
	case "PackageVersion.package":
		return q.one(q.user, of.in, "packages", of.text("packageId"))
	case "PackageVersion.workflows":
		return q.connection(of.in, "workflows", f, "packageVersionId", of.text("id"))
	case "Queue.robots", "Queue.workflows":
		return q.connection(of.in, f.Name, f, "associatedQueueId", of.text("id"))
	case "Queue.robotCounts":
		return q.counts(f.Name, []place{{at: of.in}}, url.Values{"AssociatedQueueId": {of.text("id")}})
	case "WorkflowLayoutNode.workflow":
		return q.optional(q.user, of.in, "workflows", of.text("workflowid"))
	case "CompanyUser.assignedDepartment":
		return q.department(q.user, of.in.company, of.text("assigneddepartmentid"))
	}
	return of.fields[strings.ToLower(f.Name)], nil
}

func (q *execution) id(f *ast.Field) string {
	id, _ := q.arguments(f)["id"].(string)
	return id
}

func (q *execution) root(f *ast.Field) (any, error) {
	switch f.Name {
	case "companies":
		name, _ := q.arguments(f)["name"].(string)
		return listed(q.companies(q.user, name))
	case "company":
		return q.company(q.user, q.id(f))
	case "node":
		return q.node(q.arguments(f)["nodeId"].(string))
	case "nodes":
		return q.nodes(textsOf(q.arguments(f)["nodeIds"])), nil
	}
	switch f.Name {
	case "viewer", "rootDepartment", "department":
		return q.ofCompany(consoleObject{in: requestScope{company: q.defaultCompany()}}, f)
	}
	at, err := q.scope()
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(f.Name, "Counts") {
		return q.counts(f.Name, []place{{at: at}}, url.Values{})
	}
	return q.content(at, f)
}

// listed converts a list to a value.
func listed(list []any, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return list, nil
}

// content resolves a department's list or entity.
func (q *execution) content(at requestScope, f *ast.Field) (any, error) {
	path := contents[f.Name]
	if f.Definition.Arguments.ForName("id") != nil {
		return q.one(q.user, at, path, q.id(f))
	}
	return q.connection(at, path, f)
}

func (q *execution) ofCompany(of consoleObject, f *ast.Field) (any, error) {
	company := of.in.company
	switch f.Name {
	case "viewer":
		return q.viewer(q.user, company)
	case "department":
		return q.department(q.user, company, q.id(f))
	case "departments":
		return listed(q.departments(q.user, company))
	case "rootDepartment":
		all, err := q.departments(q.user, company)
		if err != nil {
			return nil, err
		}
		return all[0], nil
	}
	if path := contents[f.Name]; path != "" || strings.HasSuffix(f.Name, "Counts") {
		places, err := q.departmentsOf(company, q.arguments(f)["departmentIds"])
		if err != nil {
			return nil, err
		}
		if path == "" {
			return q.counts(f.Name, places, url.Values{})
		}
		return q.companyList(places, path, f)
	}
	return of.fields[strings.ToLower(f.Name)], nil
}

func (q *execution) ofDepartment(of consoleObject, f *ast.Field) (any, error) {
	switch f.Name {
	case "company":
		return q.company(q.user, of.in.company)
	case "parent":
		all, err := q.departments(q.user, of.in.company)
		i := slices.IndexFunc(all, func(d any) bool { return d.(consoleObject).text("id") == of.text("parentid") })
		if err != nil || i < 0 {
			return nil, err
		}
		return all[i], nil
	}
	if strings.HasSuffix(f.Name, "Counts") {
		if q.arguments(f)["subtree"] == true {
			return q.counts(f.Name, q.below(of), url.Values{})
		}
		return q.counts(f.Name, []place{{at: of.in}}, url.Values{})
	}
	if contents[f.Name] != "" {
		return q.content(of.in, f)
	}
	return of.fields[strings.ToLower(f.Name)], nil
}

func (q *execution) ofPackage(of consoleObject, f *ast.Field) (any, error) {
	switch f.Name {
	case "unused":
		workflows, err := q.list(q.user, of.in, "workflows", url.Values{"PackageId": {of.text("id")}})
		if err != nil {
			return nil, err
		}
		return len(workflows) == 0, nil
	case "versions":
		p, err := q.one(q.user, of.in, "packages", of.text("id"))
		if err != nil {
			return nil, err
		}
		return p.(consoleObject).fields["versions"], nil
	case "latestVersion":
		return q.version(q.user, of.in, of.text("id"), of.text("lastversionid"))
	case "workflows":
		return q.connection(of.in, "workflows", f, "packageId", of.text("id"))
	}
	return of.fields[strings.ToLower(f.Name)], nil
}

func (q *execution) ofWorkflow(of consoleObject, f *ast.Field) (any, error) {
	switch f.Name {
	case "package":
		return q.optional(q.user, of.in, "packages", of.text("packageId"))
	case "latestVersion", "outdated":
		p, err := q.optional(q.user, of.in, "packages", of.text("packageId"))
		if p == nil || err != nil {
			return nil, err
		}
		if f.Name == "latestVersion" {
			return p.(consoleObject).fields["lastversion"], nil
		}
		return !strings.EqualFold(of.text("packageVersionId"), p.(consoleObject).text("lastVersionId")), nil
	case "version":
		return q.version(q.user, of.in, of.text("packageId"), of.text("packageVersionId"))
	case "queue":
		return q.optional(q.user, of.in, "queues", of.text("associatedqueueid"))
	case "layouts":
		return listed(q.layoutsOf(of))
	case "robots":
		return listed(q.list(q.user, of.in, "workflows/"+of.text("id")+"/robots", url.Values{}))
	}
	return of.fields[strings.ToLower(f.Name)], nil
}
