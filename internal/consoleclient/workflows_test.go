package consoleclient

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/fault"
)

func TestWorkflows(t *testing.T) {
	operationTest{
		operation: OpWorkflows, path: "/openapi/workflows",
		query: "AssociatedQueueId=q&Name=n&PackageId=p&PackageVersionId=v&PageIndex=3&SearchString=s",
		call: func(ctx context.Context, c *Client) (any, error) {
			return page(c.Workflows(ctx, testScope, List[WorkflowFilter]{
				Filter:    WorkflowFilter{Name: "n", SearchString: "s", AssociatedQueueID: "q", PackageID: "p", PackageVersionID: "v"},
				PageIndex: 3,
			}))
		},
	}.run(t)
}

func TestWorkflow(t *testing.T) {
	operationTest{
		operation: OpWorkflow, path: "/openapi/workflows/" + guid, single: true,
		call: func(ctx context.Context, c *Client) (any, error) { return c.Workflow(ctx, testScope, guid) },
	}.run(t)
}

func TestWorkflowAssociatedRobotIDs(t *testing.T) {
	for name, c := range map[string]struct {
		http string
		want *[]string
	}{
		"absent": {``, nil},
		"null":   {`,"associatedRobotIds":null`, nil},
		"none":   {`,"associatedRobotIds":[]`, &[]string{}},
		"some":   {`,"AssociatedRobotIds":["a","b"]`, &[]string{"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			console := serve(t, jsonAnswer(`{"id":"`+guid+`"`+c.http+`}`))
			got, err := newTestClient(t, console, nil).Workflow(t.Context(), testScope, guid)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got.AssociatedRobotIDs); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNestedRequestsOmitUnsetFields sets some fields of nested objects. The others are absent from the request.
func TestNestedRequestsOmitUnsetFields(t *testing.T) {
	for name, tt := range map[string]struct {
		request any
		want    string
	}{
		"a name": {
			WorkflowCreate{Name: "w", Arguments: []*ArgumentInput{{Name: "a", AssetContent: &AssetContentInput{Name: "s"}}}},
			`{"name":"w","arguments":[{"name":"a","assetContent":{"name":"s"}}]}`,
		},
		"false": {
			WorkflowExecution{Arguments: []*ArgumentInput{{Name: "a", AssetContent: &AssetContentInput{Name: "s", IsRequiredEncryption: ptr(false)}}}},
			`{"arguments":[{"name":"a","assetContent":{"name":"s","isRequiredEncryption":false}}]}`,
		},
		"nothing": {
			WorkflowUpdate{JobStateNotification: graphql.OmittableOf(&JobStateNotificationInput{})},
			`{"jobStateNotification":{}}`,
		},
		"recipients": {
			WorkflowUpdate{JobStateNotification: graphql.OmittableOf(&JobStateNotificationInput{Recipients: graphql.OmittableOf([]string{"a@b"})})},
			`{"jobStateNotification":{"recipients":["a@b"]}}`,
		},
		"no recipients and null": {
			WorkflowUpdate{JobStateNotification: graphql.OmittableOf(&JobStateNotificationInput{
				SwitchOn: graphql.OmittableOf[*bool](nil), Conditions: graphql.OmittableOf[[]string](nil), Recipients: graphql.OmittableOf([]string{}),
			})},
			`{"jobStateNotification":{"switchOn":null,"conditions":null,"recipients":[]}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := jsonv2.Marshal(tt.request)
			if err != nil || string(got) != tt.want {
				t.Errorf("sent %s, %v, want %s", got, err, tt.want)
			}
		})
	}
}

// The document's request examples.
func exampleArguments() []*ArgumentInput {
	return []*ArgumentInput{{
		Name: "this is a string", Type: ptr("this is a string"), Direction: ptr(ArgumentDirectionIn),
		DefaultValue: ptr("this is a string"),
		AssetContent: &AssetContentInput{
			Name: "this is a string", Description: ptr("this is a string"), IsRequiredEncryption: ptr(false),
		},
	}}
}

func exampleNotification() *JobStateNotificationInput {
	return &JobStateNotificationInput{
		SwitchOn:                         graphql.OmittableOf(ptr(false)),
		JustNoticeAgainstLastRuninstance: graphql.OmittableOf(ptr(false)),
		Conditions:                       graphql.OmittableOf([]string{"Finished", "Running"}),
		Recipients:                       graphql.OmittableOf([]string{"this is a string", "this is a string"}),
	}
}

func TestCreateWorkflow(t *testing.T) {
	n := WorkflowCreate{
		Name: "this is a string", Description: ptr("this is a string"), Tags: []string{"this is a string", "this is a string"},
		Arguments: exampleArguments(), VideoRecordMode: ptr(VideoRecordModeNeverRecord),
		JobStateNotification: exampleNotification(), PackageName: ptr("this is a string"),
		PackageID: ptr("b0adccf0-97a7-4d27-9dc5-ede4096c3ffb"), PackageVersionID: ptr("b544c811-2cc7-4b5a-8b98-fd724a2331e2"),
		PackageVersion: ptr("this is a string"), AssociatedQueueID: ptr("d677ae87-8274-485a-a918-76ee9e9fb772"),
		Priority: ptr(Int(2000)), MaxRetryCount: ptr(Int(1)), TriggerPolicy: ptr(TriggerPolicySkipWhenNoResource),
	}
	if missing := filled(n); missing != "" {
		t.Fatalf("this test does not set %s", missing)
	}
	operationTest{
		operation: OpCreateWorkflow, path: "/openapi/workflows", single: true,
		body: encode(t, camel(operationOf(t, OpCreateWorkflow).request)),
		call: func(ctx context.Context, c *Client) (any, error) { return c.CreateWorkflow(ctx, testScope, n) },
	}.run(t)
}

func TestUpdateWorkflow(t *testing.T) {
	text := graphql.OmittableOf(ptr("this is a string"))
	u := WorkflowUpdate{
		Name: text, Description: text, Arguments: graphql.OmittableOf(exampleArguments()),
		Tags:                 graphql.OmittableOf([]string{"this is a string", "this is a string"}),
		Properties:           graphql.OmittableOf(StringMap{{"Field1", "value1"}, {"Field2", "value2"}}),
		VideoRecordMode:      graphql.OmittableOf(ptr(VideoRecordModeAlwaysReport)),
		JobStateNotification: graphql.OmittableOf(exampleNotification()),
		TriggerPolicy:        graphql.OmittableOf(ptr(TriggerPolicyAnyTime)),
		PackageName:          text,
		PackageVersionID:     graphql.OmittableOf(ptr("afcb66b1-b7e5-4e7d-9ee7-5d7672118e4f")),
		PackageVersion:       text,
		AssociatedQueueID:    graphql.OmittableOf(ptr("560f9708-164a-4336-80bf-9b81e49aa2b1")),
		Priority:             graphql.OmittableOf(ptr(Int(2000))), MaxRetryCount: graphql.OmittableOf(ptr(Int(1))),
	}
	if missing := filled(u); missing != "" {
		t.Fatalf("this test does not set %s", missing)
	}
	operationTest{
		operation: OpUpdateWorkflow, path: "/openapi/workflows/" + guid, single: true,
		body: encode(t, camel(operationOf(t, OpUpdateWorkflow).request)),
		call: func(ctx context.Context, c *Client) (any, error) { return c.UpdateWorkflow(ctx, testScope, guid, u) },
	}.run(t)
}

func TestUpdateWorkflowNulls(t *testing.T) {
	u := WorkflowUpdate{
		VideoRecordMode:      graphql.OmittableOf[*VideoRecordMode](nil),
		Properties:           graphql.OmittableOf[StringMap](nil),
		JobStateNotification: graphql.OmittableOf[*JobStateNotificationInput](nil),
		Priority:             graphql.OmittableOf(ptr(Int(0))),
	}
	operationTest{
		operation: OpUpdateWorkflow, path: "/openapi/workflows/" + guid,
		body: `{"videoRecordMode":null,"properties":null,"jobStateNotification":null,"priority":0}`,
		call: func(ctx context.Context, c *Client) (any, error) { return c.UpdateWorkflow(ctx, testScope, guid, u) },
	}.check(t, jsonAnswer(`{"id":"`+guid+`"}`), nil)
}

// The mutation succeeded. An unreadable result does not make it fail.
func TestUpdateWorkflowEmptyAnswer(t *testing.T) {
	console := serve(t, jsonAnswer(""))
	got, err := newTestClient(t, console, nil).UpdateWorkflow(t.Context(), testScope, guid, WorkflowUpdate{})
	if got != nil || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	if r := console.last(t); r.Method != http.MethodPatch {
		t.Errorf("last was %s", r.Method)
	}
}

func TestDeleteWorkflow(t *testing.T) {
	operationTest{
		operation: OpDeleteWorkflow, path: "/openapi/workflows/" + guid, body: `{}`,
		call: func(ctx context.Context, c *Client) (any, error) { return nil, c.DeleteWorkflow(ctx, testScope, guid) },
	}.run(t)
}

func TestExecuteWorkflow(t *testing.T) {
	x := WorkflowExecution{
		Source: ptr("External"), Arguments: exampleArguments(), VideoRecordMode: ptr(VideoRecordModeAlwaysReport),
		Priority: ptr(Int(2000)), MaxRetryCount: ptr(Int(1)), StartupType: ptr(JobStartupTypeTrigger),
		StartupID: ptr("fbf73372-34c5-4e82-a971-d01e3819f3fa"), StartupName: ptr("this is a string"),
		JobSubjectID: ptr("51b2a214-b8c5-4f78-b280-b8ad80983985"), JobSubjectName: ptr("this is a string"),
		JobSubjectType: ptr("this is a string"),
	}
	if missing := filled(x); missing != "" {
		t.Fatalf("this test does not set %s", missing)
	}
	operationTest{
		operation: OpExecuteWorkflow, path: "/openapi/workflows/" + guid + "/execute",
		body: encode(t, camel(operationOf(t, OpExecuteWorkflow).request)),
		call: func(ctx context.Context, c *Client) (any, error) { return c.ExecuteWorkflow(ctx, testScope, guid, x) },
	}.run(t)
}

func TestExecuteWorkflowEmptyAnswer(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"200": jsonAnswer(""), "204": statusAnswer(http.StatusNoContent, "text/plain", ""), "blank": jsonAnswer(" \r\n"),
		"null": jsonAnswer(`null`), "a text": jsonAnswer(`""`), "an object": jsonAnswer(" {}\n"),
	} {
		t.Run(name, func(t *testing.T) {
			console := serve(t, answer)
			got, err := newTestClient(t, console, nil).ExecuteWorkflow(t.Context(), testScope, guid, WorkflowExecution{})
			if got != nil || err != nil {
				t.Errorf("got %v, %v", got, err)
			}
			if r := console.last(t); string(r.Body) != "{}" {
				t.Errorf("sent %q", r.Body)
			}
		})
	}
}

func TestExecuteWorkflowWrappedAnswer(t *testing.T) {
	console := serve(t, jsonAnswer(`{"count":1,"list":[{"id":"`+guid+`","lastRunInstanceId":"right","lastRunInstaceId":"wrong"}]}`))
	got, err := newTestClient(t, console, nil).ExecuteWorkflow(t.Context(), testScope, guid, WorkflowExecution{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || *got[0].LastRunInstanceID != "right" {
		t.Errorf("got %+v", got)
	}
}

func TestWorkflowRobots(t *testing.T) {
	operationTest{
		operation: OpWorkflowRobots, path: "/openapi/workflows/" + guid + "/robots",
		call: func(ctx context.Context, c *Client) (any, error) {
			return page(c.WorkflowRobots(ctx, testScope, guid, 0, 0))
		},
	}.run(t)
}

func TestWorkflowRobotsPaged(t *testing.T) {
	console := serve(t, jsonAnswer(`{"count":9,"list":[]}`))
	got, err := newTestClient(t, console, nil).WorkflowRobots(t.Context(), testScope, guid, 1, 100)
	if err != nil || got.Count != 9 {
		t.Errorf("got %+v, %v", got, err)
	}
	if r := console.last(t); r.Query != "PageIndex=1&PageSize=100" {
		t.Errorf("query %s", r.Query)
	}
}

func TestAddWorkflowRobots(t *testing.T) {
	operationTest{
		operation: OpAddWorkflowRobots, path: "/openapi/workflows/" + guid + "/robots",
		body: encode(t, camel(operationOf(t, OpAddWorkflowRobots).request)),
		call: func(ctx context.Context, c *Client) (any, error) {
			const robot = "8a11ba8f-66b3-44ec-a8c2-fd10fca58c9a"
			return c.AddWorkflowRobots(ctx, testScope, guid, []string{robot, robot})
		},
	}.run(t)
}

// An added robot has no error in every form of the response.
func TestAddWorkflowRobotsWithoutErrors(t *testing.T) {
	console := serve(t, jsonAnswer(`{"list":[{"robotId":"`+guid+`","errorMessage":""},{"robotId":"`+otherGUID+`","errorMessage":"busy"}]}`))
	got, err := newTestClient(t, console, nil).AddWorkflowRobots(t.Context(), testScope, guid, []string{guid, otherGUID})
	if err != nil || len(got) != 2 || got[0].ErrorMessage != nil || *got[1].ErrorMessage != "busy" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A message without a robot's id is that of the only robot, or else an error.
func TestAddWorkflowRobotsWithoutIDs(t *testing.T) {
	for _, answer := range []string{
		`[{"workflowId":"WORKFLOW","robotId":"00000000-0000-0000-0000-000000000000","errorMessage":"机器人不存在 TOKEN"}]`,
		`[{"workflowId":"WORKFLOW","errorMessage":"机器人不存在 TOKEN"},{"workflowId":"WORKFLOW"}]`,
		`{"workflowId":"WORKFLOW","list":[{"errorMessage":"机器人不存在 TOKEN"}]}`,
	} {
		answer = strings.NewReplacer("WORKFLOW", guid, "TOKEN", bearer).Replace(answer)
		client := newTestClient(t, serve(t, jsonAnswer(answer)), nil)
		got, err := client.AddWorkflowRobots(t.Context(), testScope, guid, []string{otherGUID})
		want := []*WorkflowRobotResult{{WorkflowID: guid, RobotID: otherGUID, ErrorMessage: ptr("机器人不存在 (hidden)")}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s, one robot: %v %s", answer, err, diff)
		}
		_, err = client.AddWorkflowRobots(t.Context(), testScope, guid, []string{guid, otherGUID})
		if fault.CodeOf(err) != fault.UpstreamInvalidResponse || fault.OutcomeOf(err) != fault.Done || !strings.Contains(err.Error(), "机器人不存在") || strings.Contains(err.Error(), bearer) {
			t.Errorf("%s, two robots: got %v, outcome %s", answer, err, fault.OutcomeOf(err))
		}
	}
}

// .NET's empty GUID means no id.
func TestEmptyGUIDs(t *testing.T) {
	console := serve(t, jsonAnswer(`{"id":"`+guid+`","associatedQueueId":"00000000-0000-0000-0000-000000000000","modifiedBy":"00000000-0000-0000-0000-000000000000","packageId":"`+otherGUID+`"}`))
	got, err := newTestClient(t, console, nil).Workflow(t.Context(), testScope, guid)
	if err != nil || got.AssociatedQueueID != nil || got.ModifiedBy != nil || *got.PackageID != otherGUID {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestRemoveWorkflowRobot(t *testing.T) {
	operationTest{
		operation: OpRemoveWorkflowRobot, path: "/openapi/workflows/" + guid + "/robots/" + otherGUID, body: `{}`,
		call: func(ctx context.Context, c *Client) (any, error) {
			return nil, c.RemoveWorkflowRobot(ctx, testScope, guid, otherGUID)
		},
	}.run(t)
}

func TestUpgradeWorkflows(t *testing.T) {
	operationTest{
		operation: OpUpgradeWorkflows, path: "/openapi/workflows/batch/upgrade", single: true,
		body: encode(t, camel(operationOf(t, OpUpgradeWorkflows).request)),
		call: func(ctx context.Context, c *Client) (any, error) {
			const workflow = "970d4d24-81db-4ca4-8509-153195d10e83"
			return c.UpgradeWorkflows(ctx, testScope, []string{workflow, workflow})
		},
	}.run(t)
}

func TestUpgradeWorkflowsWithoutDetails(t *testing.T) {
	for answer, want := range map[string]WorkflowUpgrade{
		"":                         {},
		"{}":                       {},
		`{"total":null}`:           {},
		`{"Total":"2"}`:            {Total: ptr(Int(2))},
		`{"total":0,"other":true}`: {Total: ptr(Int(0))},
	} {
		got, err := newTestClient(t, serve(t, jsonAnswer(answer)), nil).UpgradeWorkflows(t.Context(), testScope, []string{guid})
		if err != nil {
			t.Errorf("%q: %v", answer, err)
			continue
		}
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Errorf("%q: %s", answer, diff)
		}
	}
}

func TestWorkflowBodiesWithWrongIDs(t *testing.T) {
	console := serve(t, jsonAnswer(`{}`))
	client := newTestClient(t, console, nil)
	_, addErr := client.AddWorkflowRobots(t.Context(), testScope, guid, []string{otherGUID, "x"})
	_, upgradeErr := client.UpgradeWorkflows(t.Context(), testScope, []string{""})
	for _, err := range []error{addErr, upgradeErr} {
		if fault.CodeOf(err) != fault.BadUserInput {
			t.Errorf("got %v", err)
		}
	}
	if n := len(console.all()); n != 0 {
		t.Errorf("the console was asked %d times", n)
	}
}

func TestWorkflowLayouts(t *testing.T) {
	operationTest{
		operation: OpWorkflowLayouts, path: "/openapi/workflowlayouts",
		query: "IsDesc=false&Name=n&PageIndex=0&PageSize=20&SearchString=s",
		call: func(ctx context.Context, c *Client) (any, error) {
			return page(c.WorkflowLayouts(ctx, testScope, List[WorkflowLayoutFilter]{
				Filter: WorkflowLayoutFilter{Name: "n", SearchString: "s"}, Ascending: true, PageSize: 20,
			}))
		},
	}.run(t)
}

func TestWorkflowLayout(t *testing.T) {
	operationTest{
		operation: OpWorkflowLayout, path: "/openapi/workflowlayouts/" + guid, single: true,
		call: func(ctx context.Context, c *Client) (any, error) { return c.WorkflowLayout(ctx, testScope, guid) },
	}.run(t)
}

func TestExecuteWorkflowLayout(t *testing.T) {
	operationTest{
		operation: OpExecuteWorkflowLayout, path: "/openapi/workflowlayouts/" + guid + "/execute", body: `{}`, single: true,
		call: func(ctx context.Context, c *Client) (any, error) {
			return c.ExecuteWorkflowLayout(ctx, testScope, guid)
		},
	}.run(t)
}

func TestExecuteWorkflowLayoutEmptyAnswer(t *testing.T) {
	got, err := newTestClient(t, serve(t, jsonAnswer("")), nil).ExecuteWorkflowLayout(t.Context(), testScope, guid)
	if got != nil || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}
