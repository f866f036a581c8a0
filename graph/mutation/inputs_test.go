package mutation

import (
	"maps"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"

	"github.com/consoleql/consoleql/graph/schema"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// TestEveryInputIsChecked compares the table of inputs with the schema. A missing input would
// be checked too late.
func TestEveryInputIsChecked(t *testing.T) {
	s, err := gqlparser.LoadSchema(schema.Sources()...)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, f := range s.Mutation.Fields {
		if len(f.Arguments) > 0 {
			want = append(want, f.Name)
		}
		for _, a := range f.Arguments {
			if a.Name != "input" {
				t.Errorf("%s takes %s, which is not checked", f.Name, a.Name)
			}
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(inputs()))); diff != "" {
		t.Errorf("checked inputs, - schema + table:\n%s", diff)
	}
}

// TestInputFormatIsStable verifies the form of inputs in idempotency keys. Replicas of two
// versions compare it during an upgrade.
func TestInputFormatIsStable(t *testing.T) {
	sc := scope.Scope{CompanyID: "c", DepartmentID: "d"}
	for name, tt := range map[string]struct {
		input any
		want  string
	}{
		"an execution":       {scoped[ExecuteWorkflowInput]{sc, ExecuteWorkflowInput{ID: "w"}}, `{"Scope":{"CompanyID":"c","DepartmentID":"d"},"Input":{"ID":"w"}}`},
		"a layout's":         {scoped[ExecuteWorkflowLayoutInput]{sc, ExecuteWorkflowLayoutInput{ID: "l"}}, `{"Scope":{"CompanyID":"c","DepartmentID":"d"},"Input":{"ID":"l"}}`},
		"a queue to be":      {scoped[CreateQueueInput]{sc, CreateQueueInput{QueueCreate: cc.QueueCreate{Name: "q"}}}, `{"Scope":{"CompanyID":"c","DepartmentID":"d"},"Input":{"name":"q"}}`},
		"a workflow to be":   {scoped[CreateWorkflowInput]{sc, CreateWorkflowInput{WorkflowCreate: cc.WorkflowCreate{Name: "w"}}}, `{"Scope":{"CompanyID":"c","DepartmentID":"d"},"Input":{"name":"w"}}`},
		"an upload's ending": {scoped[CompletePackageUploadInput]{sc, CompletePackageUploadInput{ID: "u"}}, `{"Scope":{"CompanyID":"c","DepartmentID":"d"},"Input":{"ID":"u"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := json.Marshal(tt.input)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("%s, not %s", got, tt.want)
			}
		})
	}
}
