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
func (ex *execution) resolve(def *ast.Definition, of consoleObject, f *ast.Field) (any, error) {
	v, err := ex.resolved(def, of, f)
	name := f.Definition.Type.Name()
	list := f.Definition.Type.Elem != nil || strings.HasSuffix(name, "Connection") || strings.HasSuffix(name, "Counts")
	if !list && errors.Is(err, refusal("NOT_FOUND")) {
		return nil, nil
	}
	return v, err
}

// resolved returns the value of a field: a relation, or the console's value of that name.
func (ex *execution) resolved(def *ast.Definition, of consoleObject, f *ast.Field) (any, error) {
	if f.Name == "nodeId" {
		return nodeID(def.Name, of), nil
	}
	switch def.Name {
	case "Query":
		return ex.root(f)
	case "Mutation":
		return ex.payload, nil
	case "Company":
		return ex.ofCompany(of, f)
	case "Department":
		return ex.ofDepartment(of, f)
	}
	switch f.Name {
	case "department":
		if def.Name == "UnavailableDepartment" {
			break
		}
		return ex.department(ex.user, of.in.company, of.in.department)
	case "company":
		return ex.company(ex.user, of.in.company)
	}
	switch def.Name {
	case "Robot":
		if f.Name == "queues" || f.Name == "workflows" {
			return listed(ex.ofRobot(of, f.Name))
		}
	case "Package":
		return ex.ofPackage(of, f)
	case "Workflow":
		return ex.ofWorkflow(of, f)
	case "RobotCounts":
		if f.Name == "silent" {
			return ex.silent(of.fields["robots"].([]any), ex.arguments(f)["seconds"].(int)), nil
		}
	}
	switch def.Name + "." + f.Name {
	case "PackageVersion.package":
		return ex.one(ex.user, of.in, "packages", of.text("packageId"))
	case "PackageVersion.workflows":
		return ex.connection(of.in, "workflows", f, "packageVersionId", of.text("id"))
	case "Queue.robots", "Queue.workflows":
		return ex.connection(of.in, f.Name, f, "associatedQueueId", of.text("id"))
	case "Queue.robotCounts":
		return ex.counts(f.Name, []departmentScope{{at: of.in}}, url.Values{"AssociatedQueueId": {of.text("id")}})
	case "WorkflowLayoutNode.workflow":
		return ex.optional(ex.user, of.in, "workflows", of.text("workflowid"))
	case "CompanyUser.assignedDepartment":
		return ex.department(ex.user, of.in.company, of.text("assigneddepartmentid"))
	}
	return of.fields[strings.ToLower(f.Name)], nil
}

func (ex *execution) id(f *ast.Field) string {
	id, _ := ex.arguments(f)["id"].(string)
	return id
}

func (ex *execution) root(f *ast.Field) (any, error) {
	switch f.Name {
	case "companies":
		name, _ := ex.arguments(f)["name"].(string)
		return listed(ex.companies(ex.user, name))
	case "company":
		return ex.company(ex.user, ex.id(f))
	case "node":
		return ex.node(ex.arguments(f)["nodeId"].(string))
	case "nodes":
		return ex.nodes(textsOf(ex.arguments(f)["nodeIds"])), nil
	}
	switch f.Name {
	case "viewer", "rootDepartment", "department":
		return ex.ofCompany(consoleObject{in: requestScope{company: ex.defaultCompany()}}, f)
	}
	at, err := ex.scope()
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(f.Name, "Counts") {
		return ex.counts(f.Name, []departmentScope{{at: at}}, url.Values{})
	}
	return ex.content(at, f)
}

// listed converts a list to a value.
func listed(list []any, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return list, nil
}

// content resolves a department's list or entity.
func (ex *execution) content(at requestScope, f *ast.Field) (any, error) {
	path := contents[f.Name]
	if f.Definition.Arguments.ForName("id") != nil {
		return ex.one(ex.user, at, path, ex.id(f))
	}
	return ex.connection(at, path, f)
}

func (ex *execution) ofCompany(of consoleObject, f *ast.Field) (any, error) {
	company := of.in.company
	switch f.Name {
	case "viewer":
		return ex.viewer(ex.user, company)
	case "department":
		return ex.department(ex.user, company, ex.id(f))
	case "departments":
		return listed(ex.departments(ex.user, company))
	case "rootDepartment":
		all, err := ex.departments(ex.user, company)
		if err != nil {
			return nil, err
		}
		return all[0], nil
	}
	if path := contents[f.Name]; path != "" || strings.HasSuffix(f.Name, "Counts") {
		scopes, err := ex.departmentsOf(company, ex.arguments(f)["departmentIds"])
		if err != nil {
			return nil, err
		}
		if path == "" {
			return ex.counts(f.Name, scopes, url.Values{})
		}
		return ex.companyList(scopes, path, f)
	}
	return of.fields[strings.ToLower(f.Name)], nil
}

func (ex *execution) ofDepartment(of consoleObject, f *ast.Field) (any, error) {
	switch f.Name {
	case "company":
		return ex.company(ex.user, of.in.company)
	case "parent":
		all, err := ex.departments(ex.user, of.in.company)
		i := slices.IndexFunc(all, func(d any) bool { return d.(consoleObject).text("id") == of.text("parentid") })
		if err != nil || i < 0 {
			return nil, err
		}
		return all[i], nil
	}
	if strings.HasSuffix(f.Name, "Counts") {
		if ex.arguments(f)["subtree"] == true {
			return ex.counts(f.Name, ex.below(of), url.Values{})
		}
		return ex.counts(f.Name, []departmentScope{{at: of.in}}, url.Values{})
	}
	if contents[f.Name] != "" {
		return ex.content(of.in, f)
	}
	return of.fields[strings.ToLower(f.Name)], nil
}

func (ex *execution) ofPackage(of consoleObject, f *ast.Field) (any, error) {
	switch f.Name {
	case "unused":
		workflows, err := ex.list(ex.user, of.in, "workflows", url.Values{"PackageId": {of.text("id")}})
		if err != nil {
			return nil, err
		}
		return len(workflows) == 0, nil
	case "versions":
		p, err := ex.one(ex.user, of.in, "packages", of.text("id"))
		if err != nil {
			return nil, err
		}
		return p.(consoleObject).fields["versions"], nil
	case "latestVersion":
		return ex.version(ex.user, of.in, of.text("id"), of.text("lastversionid"))
	case "workflows":
		return ex.connection(of.in, "workflows", f, "packageId", of.text("id"))
	}
	return of.fields[strings.ToLower(f.Name)], nil
}

func (ex *execution) ofWorkflow(of consoleObject, f *ast.Field) (any, error) {
	switch f.Name {
	case "package":
		return ex.optional(ex.user, of.in, "packages", of.text("packageId"))
	case "latestVersion", "outdated":
		p, err := ex.optional(ex.user, of.in, "packages", of.text("packageId"))
		if p == nil || err != nil {
			return nil, err
		}
		if f.Name == "latestVersion" {
			return p.(consoleObject).fields["lastversion"], nil
		}
		return !strings.EqualFold(of.text("packageVersionId"), p.(consoleObject).text("lastVersionId")), nil
	case "version":
		return ex.version(ex.user, of.in, of.text("packageId"), of.text("packageVersionId"))
	case "queue":
		return ex.optional(ex.user, of.in, "queues", of.text("associatedqueueid"))
	case "layouts":
		return listed(ex.layoutsOf(of))
	case "robots":
		return listed(ex.list(ex.user, of.in, "workflows/"+of.text("id")+"/robots", url.Values{}))
	}
	return of.fields[strings.ToLower(f.Name)], nil
}
