package schema_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

var (
	camelCase     = regexp.MustCompile(`^[a-z][a-zA-Z0-9]*$`)
	pascalCase    = regexp.MustCompile(`^[A-Z][a-zA-Z0-9]*$`)
	screamingCase = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$`)
)

// nullableByException are nullable fields of kinds that are otherwise never null, since the
// console itself may omit them, or what they are computed from. An upgrade's counts are null if the console's answer is empty.
var nullableByException = []string{
	"Queue.robotCount", "Job.jobExecutionPolicy", "Job.jobStartupType", "JobGroup.jobStartupType",
	"Workflow.outdated", "Package.unused", "UpgradeWorkflowsPayload.total", "UpgradeWorkflowsPayload.successCount", "UpgradeWorkflowsPayload.failureCount", "UpgradeWorkflowsPayload.missingCount",
}

// linter collects violations of a schema.
type linter struct {
	schema   *ast.Schema
	problems []string
}

// lint checks the schema against the contract's rules for every type, and returns the
// violations.
func lint(s *ast.Schema) []string {
	l := &linter{schema: s}
	for name, def := range s.Types {
		if def.BuiltIn {
			continue
		}
		l.described(name, def.Description)
		l.named(name, name, pascalCase)
		switch def.Kind {
		case ast.Object:
			l.object(def)
		case ast.InputObject:
			l.input(def)
		case ast.Enum:
			l.enum(def)
		case ast.Scalar, ast.Interface, ast.Union:
		}
	}
	for name, directive := range s.Directives {
		if directive.Position != nil && directive.Position.Src != nil && directive.Position.Src.BuiltIn {
			continue
		}
		l.described("@"+name, directive.Description)
	}
	slices.Sort(l.problems)
	return l.problems
}

func (l *linter) problem(format string, args ...any) {
	l.problems = append(l.problems, fmt.Sprintf(format, args...))
}

// described requires a description that is a sentence with a full stop, and not just the name.
func (l *linter) described(place, description string) {
	switch {
	case strings.TrimSpace(description) == "":
		l.problem("%s has no description", place)
	case !strings.HasSuffix(strings.TrimSpace(description), ".") || len(strings.Fields(description)) < 2:
		l.problem("the description of %s is no sentence: %q", place, description)
	}
}

func (l *linter) named(place, name string, style *regexp.Regexp) {
	if !style.MatchString(name) {
		l.problem("%s: %q does not match %s", place, name, style)
	}
}

func (l *linter) object(def *ast.Definition) {
	for _, f := range def.Fields {
		if strings.HasPrefix(f.Name, "__") {
			continue
		}
		place := def.Name + "." + f.Name
		l.described(place, f.Description)
		l.named(place, f.Name, camelCase)
		for _, a := range f.Arguments {
			l.described(place+"("+a.Name+":)", a.Description)
			l.named(place, a.Name, camelCase)
		}
		if def != l.schema.Query && !isPaging(def.Name) {
			l.nullability(place, f)
		}
	}
}

// idsOfChanges are payload fields that repeat the mutation's input, and are therefore never
// null.
var idsOfChanges = []string{
	"DeletePackagePayload.deletedId", "DeleteQueuePayload.deletedId", "DeleteWorkflowPayload.deletedId",
	"UploadPackagePayload.packageId", "CompletePackageUploadPayload.packageId", "WorkflowRobotResult.workflowId", "WorkflowRobotResult.robotId",
}

// ofSessions are fields that a new session always has.
var ofSessions = map[string]string{"SignInPayload.sessionToken": "String!", "SignInPayload.expiresAt": "DateTime!"}

// ofCounts are fields that the gateway always has.
var ofCounts = map[string]string{"asOf": "DateTime!", "code": "String!"}

// nullability checks a plain field of an entity against the contract's rules.
func (l *linter) nullability(place string, f *ast.FieldDefinition) {
	target := l.schema.Types[f.Type.Name()]
	if target.Kind == ast.Object {
		return // TestObjectFields pins these one by one
	}
	name := f.Type.Name()
	want := name
	switch {
	case ofSessions[place] != "":
		want = ofSessions[place]
	case ofCounts[f.Name] != "":
		want = ofCounts[f.Name]
	case f.Name == "id", f.Name == "nodeId", slices.Contains(idsOfChanges, place):
		want = "ID!"
	case f.Name == "name":
		want = "String!"
	case f.Type.Elem != nil:
		want = "[" + name + "!]!"
	case (name == "Boolean" || name == "Int" || target.Kind == ast.Enum) && !slices.Contains(nullableByException, place):
		want = name + "!"
	}
	if got := f.Type.String(); got != want {
		l.problem("%s is %s, want %s", place, got, want)
	}
}

func (l *linter) input(def *ast.Definition) {
	if !slices.ContainsFunc([]string{"Filter", "Input", "Order"}, func(end string) bool { return strings.HasSuffix(def.Name, end) }) {
		l.problem("input %s ends with none of Filter, Input, Order", def.Name)
	}
	for _, f := range def.Fields {
		place := def.Name + "." + f.Name
		l.described(place, f.Description)
		l.named(place, f.Name, camelCase)
		if strings.HasSuffix(def.Name, "Filter") && f.Type.NonNull {
			l.problem("%s is required, but every field of a filter can be left out", place)
		}
	}
}

func (l *linter) enum(def *ast.Definition) {
	for _, v := range def.EnumValues {
		l.described(def.Name+"."+v.Name, v.Description)
		l.named(def.Name, v.Name, screamingCase)
	}
	if def.Name == "SortOrder" || def.Name == "EventType" || def.Name == "CountPrecision" || strings.HasSuffix(def.Name, "OrderField") {
		return // the console sends no value of it
	}
	if last := def.EnumValues[len(def.EnumValues)-1]; last.Name != "UNKNOWN" {
		l.problem("enum %s does not end with UNKNOWN", def.Name)
	} else if !strings.Contains(last.Description, "no valid input") {
		l.problem("%s.UNKNOWN does not say that it is no valid input", def.Name)
	}
}

func TestLint(t *testing.T) {
	s := load(t)
	if s.Description == "" {
		t.Error("the schema has no description")
	}
	for _, problem := range lint(s) {
		t.Error(problem)
	}
}

// TestOnlyExecutionsStart verifies that keys of other mutations than executions do not promise an execution.
func TestOnlyExecutionsStart(t *testing.T) {
	for name, def := range load(t).Types {
		for _, f := range def.Fields {
			starts := strings.Contains(f.Description, "starts an execution")
			if f.Name == "idempotencyKey" && starts != strings.HasPrefix(name, "Execute") {
				t.Errorf("%s.%s: %s", name, f.Name, f.Description)
			}
		}
	}
}

func TestLintFails(t *testing.T) {
	const sound = `"The root." type Query { "Robots there." robots("The order wanted." order: SortOrder): [Robot!]! }
		"A list's order." enum SortOrder { "Going up." ASC }
		"What a robot does." enum RobotStatus { "Is free." READY "Unknown; no valid input." UNKNOWN }
		"Some robots." input RobotFilter { "Its name." name: String }
		"A robot of it." type Robot { "Its id." id: ID! "Its name." name: String! "Its labels." tags: [String!]! "Its text." remark: String "Its status." status: RobotStatus! "Its count." count: Int! }`
	cases := []struct{ name, cut, put, want string }{
		{"nothing", "", "", ""},
		{"an undescribed type", `"A robot of it." `, "", "Robot has no description"},
		{"an undescribed field", `"Its text." `, "", "Robot.remark has no description"},
		{"an undescribed argument", `"The order wanted." `, "", "Query.robots(order:) has no description"},
		{"an undescribed enum value", `"Is free." `, "", "RobotStatus.READY has no description"},
		{"an undescribed input field", `RobotFilter { "Its name." `, "RobotFilter { ", "RobotFilter.name has no description"},
		{"a description of one word", `"Its text."`, `"Remark."`, `the description of Robot.remark is no sentence: "Remark."`},
		{"a field in another case", "remark:", "Remark:", `Robot.Remark: "Remark" does not match ^[a-z][a-zA-Z0-9]*$`},
		{"an argument in another case", "order:", "sort_order:", `Query.robots: "sort_order" does not match ^[a-z][a-zA-Z0-9]*$`},
		{"a type in another case", "RobotStatus", "robotStatus", `robotStatus: "robotStatus" does not match ^[A-Z][a-zA-Z0-9]*$`},
		{"an enum value in another case", "READY", "Ready", `RobotStatus: "Ready" does not match ^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$`},
		{"an enum without UNKNOWN", `"Unknown; no valid input." UNKNOWN `, "", "enum RobotStatus does not end with UNKNOWN"},
		{"an UNKNOWN that looks valid", "Unknown; no valid input.", "Not known.", "RobotStatus.UNKNOWN does not say that it is no valid input"},
		{"an input by another name", "RobotFilter", "RobotQuery", "input RobotQuery ends with none of Filter, Input, Order"},
		{"a required field of a filter", `name: String }`, `name: String! }`, "RobotFilter.name is required, but every field of a filter can be left out"},
		{"a nullable id", "id: ID!", "id: ID", "Robot.id is ID, want ID!"},
		{"a nullable name", "name: String!", "name: String", "Robot.name is String, want String!"},
		{"a nullable list", "tags: [String!]!", "tags: [String!]", "Robot.tags is [String!], want [String!]!"},
		{"a list of nullables", "tags: [String!]!", "tags: [String]!", "Robot.tags is [String]!, want [String!]!"},
		{"a text that is never null", "remark: String", "remark: String!", "Robot.remark is String!, want String"},
		{"a nullable enum", "status: RobotStatus!", "status: RobotStatus", "Robot.status is RobotStatus, want RobotStatus!"},
		{"a nullable number", "count: Int!", "count: Int", "Robot.count is Int, want Int!"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(sound, c.cut) {
				t.Fatalf("the schema has no %q", c.cut)
			}
			s, err := gqlparser.LoadSchema(&ast.Source{Name: "changed", Input: strings.ReplaceAll(sound, c.cut, c.put)})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(lint(s), "\n"); got != c.want {
				t.Errorf("lint found %q, want %q", got, c.want)
			}
		})
	}
}
