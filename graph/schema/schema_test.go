package schema_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/consoleql/consoleql/graph/schema"
)

// load returns the gateway's schema.
func load(t *testing.T) *ast.Schema {
	t.Helper()
	s, err := gqlparser.LoadSchema(schema.Sources()...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSourcesMatchDomains(t *testing.T) {
	var got []string
	for _, source := range schema.Sources() {
		got = append(got, source.Name)
		if source.BuiltIn || source.Input == "" {
			t.Errorf("%s: empty or marked as built in", source.Name)
		}
	}
	want := []string{
		"common.graphql", "company.graphql", "department.graphql", "job.graphql", "package.graphql", "queue.graphql",
		"robot.graphql", "user.graphql", "workflow.graphql", "workflowlayout.graphql",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSDLMatchesSources(t *testing.T) {
	whole, err := gqlparser.LoadSchema(&ast.Source{Name: "sdl", Input: schema.SDL()})
	if err != nil {
		t.Fatal(err)
	}
	served, err := schema.Load()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(format(served), format(whole)); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(schema.SDL(), "__schema") {
		t.Error("the SDL holds introspection types")
	}
}

// TestSDLHasNoExtensions verifies that the SDL has no extensions. Relay's compiler takes an
// `extend type` for a client schema, and generates wrong queries.
func TestSDLHasNoExtensions(t *testing.T) {
	document, err := parser.ParseSchema(&ast.Source{Name: "sdl", Input: schema.SDL()})
	if err != nil {
		t.Fatal(err)
	}
	for _, extension := range document.Extensions {
		t.Errorf("%s is extended", extension.Name)
	}
	if len(document.Schema) != 1 || !strings.Contains(document.Schema[0].Description, "Errors: `extensions.code`") {
		t.Errorf("the SDL has not the description of the schema: %+v", document.Schema)
	}
}

func format(s *ast.Schema) string {
	var text bytes.Buffer
	formatter.NewFormatter(&text).FormatSchema(s)
	return text.String()
}

// TestRootTypesAreListed verifies that a schema definition lists all root types.
func TestRootTypesAreListed(t *testing.T) {
	s := load(t)
	for name, root := range map[string]*ast.Definition{"Query": s.Query, "Mutation": s.Mutation, "Subscription": s.Subscription} {
		if s.Types[name] != root {
			t.Errorf("type %s is not the root that the schema definition lists", name)
		}
	}
	if s.Query == nil {
		t.Error("no query root")
	}
}

// list returns a list of a type, with its arguments.
func list(name, typ string) string {
	return listOver(name, typ, "")
}

func listOver(name, typ, more string) string {
	return name + "(" + more + "filter: " + typ + "Filter, order: SortOrder = DESC, orderBy: " + typ + "Order, first: Int = 20, after: String, offset: Int): " + typ + "Connection"
}

// counts are the fields with counts.
func counts(arguments string) []string {
	return []string{
		"robotCounts" + arguments + ": RobotCounts", "workflowCounts" + arguments + ": WorkflowCounts",
		"packageCounts" + arguments + ": PackageCounts", "queueCounts" + arguments + ": QueueCounts",
	}
}

// departmentFields are the fields of a department's data: on Query in the request's scope, on
// Department in its own. All of them are nullable (the contract's section 3), so that a
// failure does not affect siblings.
func departmentFields() []string {
	return []string{
		list("packages", "Package"), "package(id: ID!): Package",
		list("queues", "Queue"), "queue(id: ID!): Queue",
		list("robots", "Robot"), "robot(id: ID!): Robot",
		list("workflows", "Workflow"), "workflow(id: ID!): Workflow",
		list("workflowLayouts", "WorkflowLayout"), "workflowLayout(id: ID!): WorkflowLayout",
	}
}

// relations are fields that the document does not have. All of them are nullable, so that a
// failure does not affect the parent.
var relations = map[string][]string{
	"Query": append([]string{
		"companies(name: String): [Company!]", "company(id: ID!): Company",
		"rootDepartment: Department", "department(id: ID!): Department", "viewer: CompanyUser",
	}, append(counts(""), departmentFields()...)...),
	"Mutation": {
		"signIn(input: SignInInput!): SignInPayload", "signOut: SignOutPayload",
		"updatePackage(input: UpdatePackageInput!): UpdatePackagePayload",
		"deletePackage(input: DeletePackageInput!): DeletePackagePayload",
		"uploadPackage(input: UploadPackageInput!): UploadPackagePayload",
		"createPackageUpload: CreatePackageUploadPayload",
		"completePackageUpload(input: CompletePackageUploadInput!): CompletePackageUploadPayload",
		"createQueue(input: CreateQueueInput!): CreateQueuePayload",
		"updateQueue(input: UpdateQueueInput!): UpdateQueuePayload",
		"deleteQueue(input: DeleteQueueInput!): DeleteQueuePayload",
		"createWorkflow(input: CreateWorkflowInput!): CreateWorkflowPayload",
		"updateWorkflow(input: UpdateWorkflowInput!): UpdateWorkflowPayload",
		"deleteWorkflow(input: DeleteWorkflowInput!): DeleteWorkflowPayload",
		"executeWorkflow(input: ExecuteWorkflowInput!): ExecuteWorkflowPayload",
		"addWorkflowRobots(input: AddWorkflowRobotsInput!): AddWorkflowRobotsPayload",
		"removeWorkflowRobot(input: RemoveWorkflowRobotInput!): RemoveWorkflowRobotPayload",
		"upgradeWorkflows(input: UpgradeWorkflowsInput!): UpgradeWorkflowsPayload",
		"executeWorkflowLayout(input: ExecuteWorkflowLayoutInput!): ExecuteWorkflowLayoutPayload",
	},
	"SignInPayload": {"viewer: CompanyUser"},
	"Subscription": {
		"robotChanged(ids: [ID!], queueId: ID): Robot!", "workflowChanged(ids: [ID!]!): Workflow!",
		"robotEvents(ids: [ID!], queueId: ID, departmentIds: [ID!], companyId: ID, initial: Boolean! = false): RobotEvent!",
		"workflowEvents(ids: [ID!], departmentIds: [ID!], companyId: ID, initial: Boolean! = false): WorkflowEvent!",
		"robotCountsChanged(departmentIds: [ID!], companyId: ID): RobotCounts!",
	},
	"RobotEvent":    {"robot: Robot"},
	"WorkflowEvent": {"workflow: Workflow"},

	"UploadPackagePayload":         {"package: Package", "version: PackageVersion"},
	"CompletePackageUploadPayload": {"package: Package", "version: PackageVersion"},
	"UpdatePackagePayload":         {"package: Package"},
	"CreateQueuePayload":           {"queue: Queue"},
	"UpdateQueuePayload":           {"queue: Queue"},
	"CreateWorkflowPayload":        {"workflow: Workflow"},
	"UpdateWorkflowPayload":        {"workflow: Workflow"},
	"ExecuteWorkflowPayload":       {"workflow: Workflow"},
	"AddWorkflowRobotsPayload":     {"workflow: Workflow"},
	"RemoveWorkflowRobotPayload":   {"workflow: Workflow"},
	"UpgradeWorkflowsPayload":      {"workflows: [Workflow!]"},
	"ExecuteWorkflowLayoutPayload": {"jobGroup: JobGroup", "workflowLayout: WorkflowLayout"},
	"Company": append([]string{
		"viewer: CompanyUser", "rootDepartment: Department", "departments: [Department!]", "department(id: ID!): Department",
		companyList("packages", "Package"), companyList("queues", "Queue"), companyList("robots", "Robot"),
		companyList("workflows", "Workflow"), companyList("workflowLayouts", "WorkflowLayout"),
	}, counts("")...),
	"Department":         append([]string{"company: Company", "parent: Department"}, append(counts("(subtree: Boolean! = false)"), departmentFields()...)...),
	"Package":            {"latestVersion: PackageVersion", workflowsOfParent, "department: Department", "company: Company"},
	"PackageVersion":     {"package: Package", workflowsOfParent},
	"Queue":              {"robotCounts: RobotCounts", list("robots", "Robot"), workflowsOfParent, "department: Department", "company: Company"},
	"Robot":              {"workflows: [Workflow!]", "queues: [Queue!]", "department: Department", "company: Company"},
	"CompanyUser":        {"company: Company", "assignedDepartment: Department"},
	"Workflow":           {"package: Package", "version: PackageVersion", "queue: Queue", "layouts: [WorkflowLayout!]", "robots: [Robot!]", "department: Department", "company: Company"},
	"WorkflowLayout":     {"department: Department", "company: Company"},
	"WorkflowLayoutNode": {"workflow: Workflow"},
	"Job":                {"workflow: Workflow", "package: Package", "version: PackageVersion", "queue: Queue", "department: Department", "company: Company"},
	"JobGroup":           {"department: Department", "company: Company"},
}

var workflowsOfParent = list("workflows", "Workflow")

func companyList(name, typ string) string { return listOver(name, typ, "departmentIds: [ID!], ") }

// nested are documented fields with objects. They are part of their parent, and null only if
// absent.
var nested = map[string][]string{
	"Department":     {"children: [Department!]!"},
	"Package":        {"versions: [PackageVersion!]"},
	"PackageVersion": {"arguments: [Argument!]!"},
	"Argument":       {"assetContent: AssetContent"},
	"CompanyUser":    {"userExtensionInfo: UserExtensionInfo"},
	"Workflow":       {"arguments: [Argument!]!", "jobStateNotification: JobStateNotification"},

	"WorkflowLayout":     {"nodes: [WorkflowLayoutNode!]!"},
	"WorkflowLayoutNode": {"arguments: [Argument!]!"},
	"Job":                {"arguments: [Argument!]!"},
	"JobGroup":           {"jobs: [Job!]!"},

	"CreatePackageUploadPayload": {"upload: PackageUpload!"},
	"PackageUpload":              {"channel: UploadChannel"},
	"RobotCounts":                {"byStatus: [RobotStatusCount!]!", unavailable},
	"WorkflowCounts":             {unavailable},
	"PackageCounts":              {unavailable},
	"QueueCounts":                {unavailable},
	"UnavailableDepartment":      {"department: Department!"},
	"ExecuteWorkflowPayload":     {"jobs: [Job!]!"},
	"AddWorkflowRobotsPayload":   {"results: [WorkflowRobotResult!]!"},
	"UpgradeWorkflowsPayload":    {"failedList: [WorkflowUpgradeItem!]!", "warningList: [WorkflowUpgradeItem!]!"},
}

const unavailable = "unavailable: [UnavailableDepartment!]!"

// TestObjectFields lists every field of an entity or of the query root that leads to an
// object, with its arguments and nullability.
func TestObjectFields(t *testing.T) {
	s := load(t)
	for name, def := range s.Types {
		if def.BuiltIn || def.Kind != ast.Object || isPaging(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			want := make(map[string]bool)
			for _, f := range append(append([]string{}, relations[name]...), nested[name]...) {
				want[f] = true
			}
			got := make(map[string]bool)
			for _, f := range def.Fields {
				if target := s.Types[f.Type.Name()]; target.Kind == ast.Object && !strings.HasPrefix(f.Name, "__") {
					got[signature(f)] = true
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// isPaging reports whether a type belongs to lists and not to entities.
func isPaging(name string) bool {
	return name == "PageInfo" || strings.HasSuffix(name, "Connection") || strings.HasSuffix(name, "Edge")
}

// signature returns a field in SDL, on one line without descriptions.
func signature(f *ast.FieldDefinition) string {
	var arguments []string
	for _, a := range f.Arguments {
		argument := a.Name + ": " + a.Type.String()
		if a.DefaultValue != nil {
			argument += " = " + a.DefaultValue.String()
		}
		arguments = append(arguments, argument)
	}
	if len(arguments) == 0 {
		return f.Name + ": " + f.Type.String()
	}
	return f.Name + "(" + strings.Join(arguments, ", ") + "): " + f.Type.String()
}

func TestConnections(t *testing.T) {
	s := load(t)
	shapes := map[string][]string{"PageInfo": {"hasNextPage: Boolean!", "hasPreviousPage: Boolean!", "startCursor: String", "endCursor: String"}}
	for _, node := range []string{"Package", "Queue", "Robot", "Workflow", "WorkflowLayout"} {
		shapes[node+"Connection"] = []string{"edges: [" + node + "Edge!]!", "nodes: [" + node + "!]!", "pageInfo: PageInfo!", "totalCount: Int!", unavailable}
		shapes[node+"Edge"] = []string{"cursor: String!", "node: " + node + "!"}
	}
	for name := range s.Types {
		if isPaging(name) && shapes[name] == nil {
			t.Errorf("%s is no type of the contract", name)
		}
	}
	for name, want := range shapes {
		t.Run(name, func(t *testing.T) {
			def := s.Types[name]
			if def == nil {
				t.Fatal("no such type")
			}
			var got []string
			for _, f := range def.Fields {
				got = append(got, signature(f))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRobotHasNoCredentials verifies that the schema has no fields for a robot's credentials.
func TestRobotHasNoCredentials(t *testing.T) {
	robot := load(t).Types["Robot"]
	for _, f := range robot.Fields {
		name := strings.ToLower(f.Name)
		for _, word := range []string{"secret", "connectionstring", "poolkey", "token", "password"} {
			if strings.Contains(name, word) {
				t.Errorf("Robot.%s looks like a credential", f.Name)
			}
		}
	}
}
