package schema_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/schema"
)

// answer maps an operation's answer to the schema.
type answer struct {
	Method, Path string
	// Type is the GraphQL type of a bare entity or of the elements of a bare list.
	Type string
	// Envelope maps each key around the entities to the schema's field for it. "" is a count
	// that the schema omits, since the answer is a complete list or a single entity.
	Envelope map[string]string
	// Mutation names the mutation whose payload has the fields that no entity has.
	Mutation string
}

func page(connection string) map[string]string {
	return map[string]string{"Count": connection + ".totalCount", "List": connection + ".nodes"}
}

// answers has one row per operation, in the document's order. A row without a Type, an
// Envelope or a Mutation is an operation without content.
var answers = []answer{
	{Method: "POST", Path: "/connect/token", Mutation: "signIn"}, // the tokens themselves stay inside the gateway
	{Method: "POST", Path: "/connect/token", Mutation: "signIn"}, // likewise: the refresh
	{Method: "GET", Path: "/openapi/companies/companylist", Envelope: map[string]string{"Companies": "Query.companies"}},
	{Method: "GET", Path: "/openapi/departments/tree", Envelope: map[string]string{"Count": "", "RootDepartment": "Query.rootDepartment"}},
	{Method: "GET", Path: "/openapi/packages", Envelope: page("PackageConnection")},
	{Method: "GET", Path: "/openapi/packages/{packageId}", Type: "Package"},
	{Method: "PATCH", Path: "/openapi/packages/{packageId}", Type: "Package"},
	{Method: "DELETE", Path: "/openapi/packages/{packageId}"},
	{Method: "PUT", Path: "/openapi/packages", Type: "UploadPackagePayload"},
	{Method: "POST", Path: "/openapi/preloadedVersionFiles", Type: "PackageUpload"},
	{Method: "PUT", Path: uploadChannel},
	{Method: "PATCH", Path: "/openapi/preloadedVersionFiles/{id}", Type: "CompletePackageUploadPayload"},
	{Method: "GET", Path: "/openapi/queues", Envelope: page("QueueConnection")},
	{Method: "GET", Path: "/openapi/queues/{queueId}", Type: "Queue"},
	{Method: "DELETE", Path: "/openapi/queues/{queueId}"},
	{Method: "PATCH", Path: "/openapi/queues/{queueId}", Type: "Queue"},
	{Method: "POST", Path: "/openapi/queues/{queueId}", Type: "Queue"},
	{Method: "GET", Path: "/openapi/robots", Envelope: page("RobotConnection")},
	{Method: "GET", Path: "/openapi/robots/{robotId}", Type: "Robot"},
	{Method: "GET", Path: "/openapi/companyusers/self", Type: "CompanyUser"},
	{Method: "GET", Path: "/openapi/workflows", Envelope: page("WorkflowConnection")},
	{Method: "GET", Path: "/openapi/workflows/{workflowId}", Type: "Workflow"},
	{Method: "POST", Path: "/openapi/workflows", Type: "Workflow"},
	{Method: "PATCH", Path: "/openapi/workflows/{workflowId}", Type: "Workflow"},
	{Method: "DELETE", Path: "/openapi/workflows/{workflowId}"},
	{Method: "POST", Path: "/openapi/workflows/{workflowId}/execute", Type: "Job"},
	{Method: "GET", Path: "/openapi/workflows/{workflowId}/robots", Envelope: map[string]string{"Count": "", "List": "Workflow.robots"}},
	{Method: "POST", Path: "/openapi/workflows/{workflowId}/robots", Type: "WorkflowRobotResult"},
	{Method: "DELETE", Path: "/openapi/workflows/{workflowId}/robots/{robotId}"},
	{Method: "POST", Path: "/openapi/workflows/batch/upgrade", Type: "UpgradeWorkflowsPayload"},
	{Method: "GET", Path: "/openapi/workflowlayouts", Envelope: page("WorkflowLayoutConnection")},
	{Method: "GET", Path: "/openapi/workflowlayouts/{workflowlayoutId}", Envelope: map[string]string{"Count": "", "List": "Query.workflowLayout"}},
	{Method: "POST", Path: "/openapi/workflowlayouts/{workflowlayoutId}/execute", Type: "JobGroup"},
}

// uploadChannel is the document's sentence instead of a path: another operation returns the
// address for the file.
const uploadChannel = "通过[【生成流程包上传地址】](#生成流程包上传地址)获取到的uri地址"

// renamed contains the only names that do not follow the parity rule.
var renamed = map[string]string{"ETag": "etag", "LastRunInstaceId": "lastRunInstanceId"}

// graphQLName is the parity rule: the document's name in camelCase.
func graphQLName(documented string) string {
	if name, ok := renamed[documented]; ok {
		return name
	}
	runes := []rune(documented)
	runes[0] = unicode.ToLower(runes[0])
	return string(runes)
}

var (
	wordBorder = regexp.MustCompile(`([a-z])([A-Z])`)
	enumItem   = regexp.MustCompile(`^([A-Z]\w*)(-.*)?$`)
	bounds     = regexp.MustCompile(`范围:(\d+)-(\d+)`)
)

// enumNames returns the names in a remark such as "Status:Ready-idle;Busy-busy" in the
// schema's spelling, or nil.
func enumNames(sample, remark string) []string {
	_, list, found := strings.Cut(remark, ":")
	if !found {
		return nil
	}
	var names []string
	known := false
	for item := range strings.SplitSeq(list, ";") {
		match := enumItem.FindStringSubmatch(item)
		if match == nil {
			return nil
		}
		known = known || match[1] == sample
		names = append(names, strings.ToUpper(wordBorder.ReplaceAllString(match[1], "${1}_${2}")))
	}
	if !known {
		return nil
	}
	return names
}

// parity compares the operations' answers with the schema, and returns the differences.
func parity(s *ast.Schema, operations []operation) []string {
	var problems []string
	for i, op := range operations {
		if i >= len(answers) {
			problems = append(problems, fmt.Sprintf("%s %s: not in the table", op.Method, op.Path))
			continue
		}
		row, w := answers[i], walker{schema: s, operation: op.Method + " " + op.Path}
		switch {
		case row.Method != op.Method || row.Path != op.Path:
			w.problem("the table has %s %s here", row.Method, row.Path)
		case row.Mutation != "":
			if op.Response == nil {
				w.problem("is given to mutation %s, but answers with nothing", row.Mutation)
			}
		case row.Envelope != nil:
			w.envelope(row.Envelope, op.Response)
		case row.Type != "" && op.Response == nil:
			w.problem("no response for type %s", row.Type)
		case row.Type != "":
			w.object(row.Type, op.Response.Fields)
		case op.Response != nil:
			w.problem("answers with content that the table does not place")
		}
		problems = append(problems, w.problems...)
	}
	for _, row := range answers[min(len(operations), len(answers)):] {
		problems = append(problems, fmt.Sprintf("%s %s: not in the document", row.Method, row.Path))
	}
	return problems
}

// walker walks a response sample and the corresponding GraphQL types.
type walker struct {
	schema    *ast.Schema
	operation string
	problems  []string
}

func (w *walker) problem(format string, args ...any) {
	w.problems = append(w.problems, w.operation+": "+fmt.Sprintf(format, args...))
}

func (w *walker) envelope(places map[string]string, response *value) {
	if response == nil {
		w.problem("no response for an envelope")
		return
	}
	if len(response.Fields) != len(places) {
		w.problem("%d keys around the entities, the table places %d", len(response.Fields), len(places))
	}
	for _, f := range response.Fields {
		place, known := places[f.Name]
		if !known {
			w.problem("the table does not place %s", f.Name)
		}
		if place == "" {
			continue
		}
		owner, name, _ := strings.Cut(place, ".")
		w.field(owner, name, f)
	}
}

func (w *walker) object(typeName string, fields []field) {
	for _, f := range fields {
		w.field(typeName, graphQLName(f.Name), f)
	}
}

// field compares a documented field with the schema's, and continues with nested fields.
func (w *walker) field(typeName, name string, f field) {
	owner := w.schema.Types[typeName]
	if owner == nil {
		w.problem("no type %s", typeName)
		return
	}
	def := owner.Fields.ForName(name)
	if def == nil {
		w.problem("%s lacks %s (%s)", typeName, name, f.Name)
		return
	}
	if limit := bounds.FindStringSubmatch(f.Remark); limit != nil && !strings.Contains(def.Description, limit[1]+" to "+limit[2]) {
		w.problem("the description of %s.%s lacks the bounds %s to %s", typeName, name, limit[1], limit[2])
	}
	if names := enumNames(f.Value.Text, f.Remark); names != nil {
		w.enum(typeName+"."+name, def.Type.Name(), names)
		return
	}
	if want := scalars[f.Value.Kind]; want != "" && !slices.Contains(textForIDs, typeName+"."+name) {
		if got := strings.ReplaceAll(def.Type.String(), "!", ""); got != want {
			w.problem("%s.%s is %s, the document shows %s", typeName, name, got, want)
		}
		return
	}
	if f.Value.Kind == jsonObject || f.Value.Kind == jsonList {
		if nested := w.schema.Types[def.Type.Name()]; nested.Kind != ast.Object {
			w.problem("%s.%s is %s, the document shows fields of its own", typeName, name, def.Type)
			return
		}
		w.object(def.Type.Name(), f.Value.Fields)
	}
}

// textForIDs are ids whose sample value is an arbitrary text.
var textForIDs = []string{"WorkflowUpgradeItem.id"}

// scalars are the GraphQL types of sample values, without nullability.
var scalars = map[jsonType]string{
	jsonText: "String", jsonTexts: "[String]", jsonID: "ID", jsonIDs: "[ID]", jsonDateTime: "DateTime",
	jsonNumber: "Int", jsonBoolean: "Boolean", jsonMap: "StringMap",
}

func (w *walker) enum(place, typeName string, names []string) {
	def := w.schema.Types[typeName]
	if def.Kind != ast.Enum {
		w.problem("%s is %s, the document lists %d values", place, typeName, len(names))
		return
	}
	var got []string
	for _, v := range def.EnumValues {
		got = append(got, v.Name)
	}
	if want := append(slices.Clone(names), "UNKNOWN"); !slices.Equal(got, want) {
		w.problem("%s has the values %v, the document and UNKNOWN make %v", place, got, want)
	}
}

func TestDocumentedFieldsAreInSchema(t *testing.T) {
	operations := readDocument(t)
	if len(operations) != 33 || len(answers) != 33 {
		t.Fatalf("%d operations in the document and %d in the table, want 33", len(operations), len(answers))
	}
	for _, problem := range parity(load(t), operations) {
		t.Error(problem)
	}
}

func TestParityFails(t *testing.T) {
	cases := []struct {
		name, cut, put, want string
	}{
		{"a field of an entity", "  lastHeartbeatTime: DateTime\n", "  lastHeartbeat: DateTime\n", "GET /openapi/robots: Robot lacks lastHeartbeatTime (LastHeartbeatTime)"},
		{"a nested field", "  isRequiredEncryption: Boolean!\n", "  encrypted: Boolean!\n", "POST /openapi/workflows/{workflowId}/execute: AssetContent lacks isRequiredEncryption (IsRequiredEncryption)"},
		{"a field below the envelope of one entity", "  index: Int!\n", "  place: Int!\n", "GET /openapi/workflowlayouts/{workflowlayoutId}: WorkflowLayoutNode lacks index (Index)"},
		{"a field of a list within an entity", "  lastRunInstanceId: ID\n", "  lastRunInstaceId: ID\n", "POST /openapi/workflowlayouts/{workflowlayoutId}/execute: Job lacks lastRunInstanceId (LastRunInstaceId)"},
		{"a key of the envelope", "  totalCount: Int!\n", "  count: Int!\n", "GET /openapi/queues: QueueConnection lacks totalCount (Count)"},
		{"a scalar's type", "  triggeredCount: Int!\n", "  triggeredCount: String!\n", "GET /openapi/workflows: Workflow.triggeredCount is String, the document shows Int"},
		{"an id's type", "  currentDeviceId: ID\n", "  currentDeviceId: String\n", "GET /openapi/robots/{robotId}: Robot.currentDeviceId is String, the document shows ID"},
		{"an object's type", "  userExtensionInfo: UserExtensionInfo\n", "  userExtensionInfo: StringMap\n", "GET /openapi/companyusers/self: CompanyUser.userExtensionInfo is StringMap, the document shows fields of its own"},
		{"an enum's value", "  BUSY\n", "  WORKING\n", "GET /openapi/robots: Robot.status has the values [DISCONNECTED READY WORKING UNKNOWN], the document and UNKNOWN make [DISCONNECTED READY BUSY UNKNOWN]"},
		{"an enum as text", "  direction: ArgumentDirection!\n", "  direction: String!\n", "GET /openapi/packages: Argument.direction is String, the document lists 3 values"},
		{"a bound", "0 to 5000", "a number", "GET /openapi/workflows: the description of Workflow.priority lacks the bounds 0 to 5000"},
	}
	operations := readDocument(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			sdl := schema.SDL()
			changed := strings.ReplaceAll(sdl, c.cut, c.put)
			if changed == sdl {
				t.Fatalf("the schema has no %q", c.cut)
			}
			s, err := gqlparser.LoadSchema(&ast.Source{Name: "changed", Input: changed})
			if err != nil {
				t.Fatal(err)
			}
			if problems := parity(s, operations); !slices.Contains(problems, c.want) {
				t.Errorf("parity found %q, want among them %q", problems, c.want)
			}
		})
	}
	t.Run("an operation too few", func(t *testing.T) {
		want := []string{"POST /openapi/workflowlayouts/{workflowlayoutId}/execute: not in the document"}
		if diff := cmp.Diff(want, parity(load(t), operations[:32])); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("an operation too many", func(t *testing.T) {
		more := append(slices.Clone(operations), operation{Method: "GET", Path: "/openapi/jobs"})
		if diff := cmp.Diff([]string{"GET /openapi/jobs: not in the table"}, parity(load(t), more)); diff != "" {
			t.Error(diff)
		}
	})
}

// lists maps each operation with a query string to the schema's field for it.
var lists = map[string]string{
	"/openapi/companies/companylist": "companies",
	"/openapi/packages":              "packages",
	"/openapi/queues":                "queues",
	"/openapi/robots":                "robots",
	"/openapi/workflows":             "workflows",
	"/openapi/workflowlayouts":       "workflowLayouts",
}

// pagingArguments are the arguments for query parameters that are no filter. IncludeVersions
// follows from the selection.
var pagingArguments = map[string]string{"IsDesc": "order", "PageIndex": "offset", "PageSize": "first", "IncludeVersions": ""}

// conditions are the fields of filters that the gateway applies.
var conditions = map[string][]string{
	"packages":        {"ids: [ID!]", "unused: Boolean", "tags: [String!]"},
	"queues":          {"ids: [ID!]", "empty: Boolean", "tags: [String!]"},
	"robots":          {"ids: [ID!]", "status: [RobotStatus!]", "silentFor: Int", "withoutQueue: Boolean"},
	"workflows":       {"ids: [ID!]", "outdated: Boolean", "tags: [String!]", "triggeredBefore: DateTime", "triggeredAfter: DateTime"},
	"workflowLayouts": {"ids: [ID!]"},
}

func TestQueryParametersAreArguments(t *testing.T) {
	s := load(t)
	seen := 0
	for _, op := range readDocument(t) {
		if len(op.Parameters) == 0 {
			continue
		}
		seen++
		t.Run(op.Path, func(t *testing.T) {
			list := s.Query.Fields.ForName(lists[op.Path])
			if list == nil {
				t.Fatalf("no field %q for this operation", lists[op.Path])
			}
			wantFilter, gotFilter := slices.Clone(conditions[lists[op.Path]]), []string(nil)
			for _, p := range op.Parameters {
				if name, ok := pagingArguments[p.Name]; ok {
					if name != "" && list.Arguments.ForName(name) == nil {
						t.Errorf("no argument %s for %s", name, p.Name)
					}
					continue
				}
				typeName := p.Type
				if strings.Contains(p.Remark, "guid") {
					typeName = "ID"
				}
				wantFilter = append(wantFilter, graphQLName(p.Name)+": "+typeName)
			}
			if filter := list.Arguments.ForName("filter"); filter != nil {
				for _, f := range s.Types[filter.Type.Name()].Fields {
					gotFilter = append(gotFilter, f.Name+": "+f.Type.String())
				}
			} else {
				for _, a := range list.Arguments {
					gotFilter = append(gotFilter, a.Name+": "+a.Type.String())
				}
			}
			slices.Sort(wantFilter)
			slices.Sort(gotFilter)
			if diff := cmp.Diff(wantFilter, gotFilter); diff != "" {
				t.Errorf("the document's parameters (-) and the schema's filter (+):\n%s", diff)
			}
		})
	}
	if seen != len(lists) {
		t.Errorf("%d operations with a query string, want %d", seen, len(lists))
	}
}
