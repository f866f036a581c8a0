package consoleclient

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

func TestQueues(t *testing.T) {
	operationTest{
		operation: OpQueues, path: "/openapi/queues",
		query: "AssociatedQueueId=q&Name=n&PackageId=p&PackageVersionId=v&SearchString=s",
		call: func(ctx context.Context, c *Client) (any, error) {
			return page(c.Queues(ctx, testScope, List[QueueFilter]{
				Filter: QueueFilter{Name: "n", SearchString: "s", AssociatedQueueID: "q", PackageID: "p", PackageVersionID: "v"},
			}))
		},
	}.run(t)
}

func TestQueue(t *testing.T) {
	operationTest{
		operation: OpQueue, path: "/openapi/queues/" + guid, single: true,
		call: func(ctx context.Context, c *Client) (any, error) { return c.Queue(ctx, testScope, guid) },
	}.run(t)
}

func TestDeleteQueue(t *testing.T) {
	operationTest{
		operation: OpDeleteQueue, path: "/openapi/queues/" + guid, body: `{}`,
		call: func(ctx context.Context, c *Client) (any, error) { return nil, c.DeleteQueue(ctx, testScope, guid) },
	}.run(t)
}

func TestUpdateQueue(t *testing.T) {
	whole := QueueUpdate{
		Name:        graphql.OmittableOf(ptr("this is a string")),
		Description: graphql.OmittableOf(ptr("this is a string")),
		Tags:        graphql.OmittableOf([]string{"this is a string", "this is a string"}),
	}
	if missing := filled(whole); missing != "" {
		t.Fatalf("this test does not set %s", missing)
	}
	id := answerID(t, OpUpdateQueue)
	operationTest{
		operation: OpUpdateQueue, path: "/openapi/queues/" + id, single: true,
		body: encode(t, camel(operationOf(t, OpUpdateQueue).request)),
		call: func(ctx context.Context, c *Client) (any, error) { return c.UpdateQueue(ctx, testScope, id, whole) },
	}.run(t)
}

// Omitted fields, null and values differ on the wire.
func TestUpdateQueueOmits(t *testing.T) {
	for name, c := range map[string]struct {
		update QueueUpdate
		want   string
	}{
		"nothing":    {QueueUpdate{}, `{}`},
		"null text":  {QueueUpdate{Description: graphql.OmittableOf[*string](nil)}, `{"description":null}`},
		"null list":  {QueueUpdate{Tags: graphql.OmittableOf[[]string](nil)}, `{"tags":null}`},
		"empty list": {QueueUpdate{Tags: graphql.OmittableOf([]string{})}, `{"tags":[]}`},
		"empty text": {QueueUpdate{Name: graphql.OmittableOf(ptr(""))}, `{"name":""}`},
		"markup":     {QueueUpdate{Name: graphql.OmittableOf(ptr("<云>"))}, `{"name":"<云>"}`},
	} {
		t.Run(name, func(t *testing.T) {
			operationTest{operation: OpUpdateQueue, path: "/openapi/queues/" + guid, body: c.want,
				call: func(ctx context.Context, client *Client) (any, error) {
					return client.UpdateQueue(ctx, testScope, guid, c.update)
				}}.check(t, jsonAnswer(`{"id":"`+guid+`"}`), nil)
		})
	}
}

// The mutation succeeded. An unreadable result does not make it fail.
func TestUpdateQueueEmptyAnswer(t *testing.T) {
	console := serve(t, jsonAnswer(""))
	got, err := newTestClient(t, console, nil).UpdateQueue(t.Context(), testScope, guid, QueueUpdate{})
	if got != nil || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	if r := console.last(t); r.Method != http.MethodPatch {
		t.Errorf("last was %s", r.Method)
	}
}

func TestCreateQueue(t *testing.T) {
	n := QueueCreate{
		Name: "this is a string", Description: ptr("this is a string"), Tags: []string{"this is a string", "this is a string"},
		CompanyID: ptr("f0f31fa4-a85b-413e-a9d5-d6c2b650eb41"), DepartmentID: ptr("5c353854-3640-4c1e-8275-0375ac7a49ad"),
		CreateBy: ptr("25540342-ac36-4003-a665-14793a005078"), CreateByName: ptr("this is a string"),
	}
	if missing := filled(n); missing != "" {
		t.Fatalf("this test does not set %s", missing)
	}
	operationTest{
		operation: OpCreateQueue, path: "/console/queues", single: true,
		body: encode(t, camel(operationOf(t, OpCreateQueue).request)),
		call: func(ctx context.Context, c *Client) (any, error) {
			c.queueCreatePath = "/console/queues"
			return c.CreateQueue(ctx, testScope, n)
		},
	}.run(t)
}

func TestCreateQueueDefaults(t *testing.T) {
	console := serve(t, jsonAnswer(`{"id":"`+guid+`"}`))
	client := newTestClient(t, console, nil)
	paths := map[string]bool{}
	for range 2 {
		if _, err := client.CreateQueue(t.Context(), testScope, QueueCreate{Name: "q"}); err != nil {
			t.Fatal(err)
		}
		r := console.last(t)
		id, ok := strings.CutPrefix(r.Path, "/openapi/queues/")
		if _, err := scope.ParseID(id); !ok || err != nil {
			t.Errorf("path %s: %v", r.Path, err)
		}
		paths[r.Path] = true
		want := `{"name":"q","companyId":"` + company + `","departmentId":"` + department + `"}`
		if string(r.Body) != want {
			t.Errorf("body %s, want %s", r.Body, want)
		}
	}
	if len(paths) != 2 {
		t.Error("two queues were created under one id")
	}
}

// TestWrappedQueue: a queue with an id is found in any wrapper, and only an empty list says that there is none.
func TestWrappedQueue(t *testing.T) {
	const bare = `{"id":"` + guid + `","name":"n"`
	for body, want := range map[string]fault.Code{
		bare + `}`:                                  "",
		bare + `,"list":null}`:                      "",
		bare + `,"list":[]}`:                        "",
		bare + `,"count":1,"list":[{"id":"x"}]}`:    "",
		`{"count":1,"list":[` + bare + `}]}`:        "",
		`{"count":2,"list":[null,` + bare + `}]}`:   "",
		`{"list":[[],1,"x",` + bare + `}]}`:         "",
		`{"count":2,"list":[` + bare + `},null,3]}`: "",
		`{"count":0,"list":[]}`:                     fault.NotFound,
		`{"Count":"0","List":[]}`:                   fault.NotFound,
		`{"list":[]}`:                               fault.NotFound,
		`{"count":1,"list":[null]}`:                 fault.UpstreamInvalidResponse,
		`{"list":[null]}`:                           fault.UpstreamInvalidResponse,
		`{"count":1,"list":[]}`:                     fault.UpstreamInvalidResponse,
		`{"count":0,"list":null}`:                   fault.UpstreamInvalidResponse,
		`{"count":1,"list":["` + guid + `"]}`:       fault.UpstreamInvalidResponse,
		`{"count":1,"list":[{"name":"n"}]}`:         fault.UpstreamInvalidResponse,
		`{"id":"` + scope.NoID + `","name":"n"}`:    fault.UpstreamInvalidResponse,
	} {
		client := newTestClient(t, serve(t, jsonAnswer(body)), nil)
		q, err := client.Queue(t.Context(), testScope, guid)
		if fault.CodeOf(err) != want || want == "" && (q.ID != guid || q.Name != "n") {
			t.Errorf("get %s: got %+v, %v", body, q, err)
		}
		created, err := client.CreateQueue(t.Context(), testScope, QueueCreate{Name: "n"})
		if err != nil || (created != nil) != (want == "") || created != nil && created.ID != guid {
			t.Errorf("create %s: got %+v, %v", body, created, err)
		}
	}
}
