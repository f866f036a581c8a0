package oracle

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// object is an entity in GraphQL form.
type object = map[string]any

// The simulator's values in GraphQL form.

func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func timestamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func texts[S ~[]string](in S) any {
	out := []any{}
	for _, s := range in {
		out = append(out, s)
	}
	return out
}

func numbers(in []int64) any {
	out := []any{}
	for _, n := range in {
		out = append(out, fmt.Sprint(n))
	}
	return out
}

func properties(in map[string]string) any {
	out := object{}
	for k, v := range in {
		out[k] = v
	}
	return out
}

// enum returns a documented name in GraphQL's spelling.
func enum(name string) any { return screaming(name) }

func arguments(in []consolesim.Argument) any {
	out := []any{}
	for _, a := range in {
		o := object{"__typename": "Argument", "name": a.Name, "type": a.Type, "direction": enum(a.Direction), "defaultValue": text(a.DefaultValue), "assetContent": nil}
		if c := a.Asset; c != nil {
			o["assetContent"] = object{"__typename": "AssetContent", "name": c.Name, "description": c.Description, "isRequiredEncryption": c.IsRequiredEncryption}
		}
		out = append(out, o)
	}
	return out
}

// entity returns the common fields of entities that exist in the entity's type.
func entity(typ string, m consolesim.Meta, more object) object {
	all := object{
		"__typename": typ, "id": m.ID, "name": m.Name, "description": m.Description, "companyId": text(m.CompanyID),
		"createdAt": timestamp(m.CreatedAt), "createdBy": text(m.CreatedBy), "createdByName": text(m.CreatedByName),
		"modifiedAt": timestamp(m.ModifiedAt), "modifiedBy": text(m.ModifiedBy), "modifiedByName": text(m.ModifiedByName),
		"departmentId": text(m.DepartmentID), "tags": texts(m.Tags), "properties": properties(m.Properties), "etag": text(m.ETag),
	}
	for k, v := range more {
		all[k] = v
	}
	return all
}

func wantPackage(p consolesim.Package) object {
	o := entity("Package", p.Meta, object{
		"totalDownloads": float64(p.TotalDownloads), "lastVersion": p.Latest().Version, "lastVersionId": p.Latest().ID,
		"iconUrl": text(p.IconURL), "fullDescription": p.FullDescription,
	})
	delete(o, "properties")
	return o
}

func wantVersion(p consolesim.Package, v consolesim.PackageVersion) object {
	o := entity("PackageVersion", v.Meta, object{
		"packageId": p.ID, "version": v.Version, "arguments": arguments(v.Arguments), "uploadTime": timestamp(v.UploadedAt),
		"totalDownloads": float64(v.TotalDownloads), "fullDescription": v.FullDescription,
	})
	for _, none := range []string{"name", "tags", "properties"} {
		delete(o, none)
	}
	return o
}

func wantQueue(q consolesim.Queue) object {
	o := entity("Queue", q.Meta, object{"robotCount": float64(q.RobotCount)})
	delete(o, "etag")
	return o
}

func wantRobot(r consolesim.Robot) object {
	return object{
		"__typename": "Robot", "id": r.ID, "name": r.Name, "description": r.Description, "companyId": r.CompanyID, "departmentId": r.DepartmentID,
		"currentDeviceId": text(r.DeviceID), "lastHeartbeatTime": timestamp(r.LastHeartbeat), "listeningStatus": numbers(r.Listening),
		"sdkVersion": r.SDKVersion, "canUpgrade": r.CanUpgrade, "licenseStatus": enum(r.LicenseStatus), "clientSku": r.ClientSKU,
		"version": r.Version, "status": enum(r.Status),
	}
}

func wantWorkflow(f consolesim.Workflow) object {
	o := entity("Workflow", f.Meta, object{
		"arguments": arguments(f.Arguments), "videoRecordMode": enum(f.VideoRecordMode), "jobStateNotification": nil,
		"packageId": f.PackageID, "packageName": f.PackageName, "packageVersionId": f.PackageVersionID, "packageVersion": f.PackageVersion,
		"associatedQueueId": text(f.QueueID), "priority": float64(f.Priority), "maxRetryCount": float64(f.MaxRetryCount),
		"triggerPolicy": enum(f.TriggerPolicy), "lastTriggeredAt": timestamp(f.LastTriggeredAt), "triggeredCount": float64(f.TriggeredCount),
	})
	if n := f.Notification; n != nil {
		o["jobStateNotification"] = object{
			"__typename": "JobStateNotification", "switchOn": n.SwitchOn, "justNoticeAgainstLastRuninstance": n.JustLast,
			"conditions": texts(n.Conditions), "recipients": texts(n.Recipients),
		}
	}
	delete(o, "etag")
	return o
}

func wantLayout(l consolesim.Layout) object {
	nodes := []any{}
	for _, n := range l.Nodes {
		o := entity("WorkflowLayoutNode", n.Meta, object{"index": float64(n.Index), "workflowId": n.WorkflowID, "arguments": arguments(n.Arguments)})
		for _, none := range []string{"companyId", "departmentId", "properties", "etag"} {
			delete(o, none)
		}
		nodes = append(nodes, o)
	}
	o := entity("WorkflowLayout", l.Meta, object{"nodes": nodes, "lastTriggeredAt": timestamp(l.LastTriggeredAt), "triggeredCount": float64(l.TriggeredCount)})
	delete(o, "etag")
	return o
}

func wantCompany(c consolesim.Company, u consolesim.User) object {
	o := entity("Company", c.Meta, object{"companyUserId": u.Memberships[c.ID], "companyUserName": u.DisplayName, "edition": enum(c.Edition)})
	delete(o, "departmentId")
	delete(o, "etag")
	return o
}

func wantDepartment(d consolesim.Department) object {
	o := entity("Department", d.Meta, object{
		"departmentPath": d.Path, "visitorHasAnyRole": true, "visitorHasPermission": true, "userCount": float64(d.UserCount), "parentId": text(d.ParentID),
	})
	for _, none := range []string{"createdBy", "createdByName", "modifiedBy", "modifiedByName"} {
		delete(o, none)
	}
	return o
}

// TestFieldsMatchConsole selects every plain field of every entity, by introspection,
// and compares all entities of the main department with the console's data.
func TestFieldsMatchConsole(t *testing.T) {
	t.Parallel()
	noon := time.Now().Truncate(time.Hour)
	w := e2e.NewWorld(t, consolesim.Options{Now: func() time.Time { return noon }}, e2e.WithoutLimits)
	d, schema := w.Sim.Data(), w.Schema()
	main, owner := d.MainDepartmentID(), d.Users()[0]

	var got struct {
		Companies                          []object
		Company                            struct{ Departments []object }
		Queues, Robots, Workflows, Layouts struct{ Nodes []object }
	}
	query := strings.NewReplacer(
		"$company", d.MainCompanyID(), "$Company", e2e.Selection(schema, "Company", 0), "$Department", e2e.Selection(schema, "Department", 0),
		"$Queue", e2e.Selection(schema, "Queue", 0), "$Robot", e2e.Selection(schema, "Robot", 0),
		"$Workflow", e2e.Selection(schema, "Workflow", 0), "$Layout", e2e.Selection(schema, "WorkflowLayout", 0),
	).Replace(`{ companies $Company company(id: "$company") { departments $Department } queues(first: 500) { nodes $Queue } robots(first: 500) { nodes $Robot }
		workflows(first: 500) { nodes $Workflow } layouts: workflowLayouts(first: 500) { nodes $Layout } }`)
	w.Query(query, &got)

	compare := func(name string, got []object, want []object) {
		t.Helper()
		for _, entity := range got {
			for _, computed := range []string{"nodeId", "latestVersion", "outdated", "unused"} { // by the gateway
				delete(entity, computed)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s, - console's + answered:\n%.3000s", name, diff)
		}
		if len(want) == 0 {
			t.Errorf("no %s to compare", name)
		}
	}
	var want []object
	for _, c := range d.Companies() {
		want = append(want, wantCompany(c, owner))
	}
	compare("companies", got.Companies, want)
	compare("departments", got.Company.Departments, each(d.Departments(d.MainCompanyID()), wantDepartment))
	compare("queues", got.Queues.Nodes, all(t, d.QueueIDs(main), d.Queue, wantQueue))
	compare("robots", got.Robots.Nodes, all(t, d.RobotIDs(main), d.Robot, wantRobot))
	compare("workflows", got.Workflows.Nodes, all(t, d.WorkflowIDs(main), d.Workflow, wantWorkflow))
	compare("workflow layouts", got.Layouts.Nodes, all(t, d.LayoutIDs(main), d.Layout, wantLayout))

	// Compare packages of a list and single packages.
	var listed struct{ Packages struct{ Nodes []object } }
	w.Query(fmt.Sprintf(`{ packages(first: 500) { nodes %s } }`, e2e.Selection(schema, "Package", 0)), &listed)
	compare("packages", listed.Packages.Nodes, all(t, d.PackageIDs(main), d.Package, wantPackage))
	for _, id := range d.PackageIDs(main)[:5] {
		var one struct{ Package struct{ Versions []object } }
		w.Query(fmt.Sprintf(`{ package(id: %q) { versions %s } }`, id, e2e.Selection(schema, "PackageVersion", 0)), &one)
		p, _ := d.Package(id)
		compare("versions", one.Package.Versions, each(p.Versions, func(v consolesim.PackageVersion) object { return wantVersion(p, v) }))
	}
}

func each[T any](in []T, f func(T) object) []object {
	var out []object
	for _, v := range in {
		out = append(out, f(v))
	}
	return out
}

func all[T any](t *testing.T, ids []string, find func(string) (T, bool), f func(T) object) []object {
	t.Helper()
	return each(ids, func(id string) object {
		v, ok := find(id)
		if !ok {
			t.Fatalf("the console has no %s", id)
		}
		return f(v)
	})
}

// TestViewerMatchesConsole does the same for users.
func TestViewerMatchesConsole(t *testing.T) {
	t.Parallel()
	noon := time.Now().Truncate(time.Hour)
	w := e2e.NewWorld(t, consolesim.Options{Now: func() time.Time { return noon }})
	schema, d := w.Schema(), w.Sim.Data()
	query := fmt.Sprintf(`{ viewer %s }`, e2e.Selection(schema, "CompanyUser", 0))
	for _, u := range d.Users() {
		company := u.CompanyIDs[0]
		a := w.Ask(query, e2e.Request{Header: e2e.MergeHeaders(w.TokenHeader(u.Username), e2e.ScopeHeader(company, ""))})
		if len(a.Errors) > 0 {
			t.Fatalf("%+v", a.Errors)
		}
		got := e2e.Decode[struct{ Viewer object }](t, a.Data).Viewer
		c := d.Companies()[slices.IndexFunc(d.Companies(), func(c consolesim.Company) bool { return c.ID == company })]
		department := d.Departments(company)[slices.IndexFunc(d.Departments(company), func(d consolesim.Department) bool { return d.ID == u.Assigned[company] })]
		for _, computed := range []string{"roleIds", "etag"} { // absent in the data
			if v := got[computed]; v == nil || fmt.Sprint(v) == "[]" {
				t.Errorf("%s is %v", computed, v)
			}
			delete(got, computed)
		}
		want := object{
			"__typename": "CompanyUser", "id": u.Memberships[company], "userId": u.ID, "companyId": company, "isCompanyOwner": u.Owner,
			"userExtensionInfo": object{"__typename": "UserExtensionInfo", "extensionId": "", "extensionMobile": "", "extensionEmail": u.Email},
			"isExternalUser":    false, "hasModifiedPassword": true, "status": "ACTIVE", "resourceType": "COMPANY_USER", "parentResourceType": "DEPARTMENT",
			"assignedDepartmentId": department.ID, "parentId": department.ID, "name": u.DisplayName, "description": "Demonstration account",
			"tags": []any{}, "properties": object{}, "createdAt": timestamp(c.CreatedAt), "modifiedAt": timestamp(c.CreatedAt), "lastLoginAt": timestamp(noon),
			"departmentPath": department.Path, "email": u.Email, "phoneNumber": "", "userName": u.Username,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s, - console's + answered:\n%s", u.Username, diff)
		}
	}
}
