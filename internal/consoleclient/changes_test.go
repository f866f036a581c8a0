package consoleclient

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/fault"
)

// TestMutationsWithShortResponses: a successful mutation is done, even if its response holds little.
func TestMutationsWithShortResponses(t *testing.T) {
	job := `{"id":"` + guid + `","name":"a job"}`
	calls := map[string]func(context.Context, *Client) (id string, err error){
		"execute": func(ctx context.Context, c *Client) (string, error) {
			return first(func(j *Job) string { return j.ID })(c.ExecuteWorkflow(ctx, testScope, guid, WorkflowExecution{}))
		},
		"execute layout": func(ctx context.Context, c *Client) (string, error) {
			return ifAny(func(g *JobGroup) string { return g.ID })(c.ExecuteWorkflowLayout(ctx, testScope, guid))
		},
		"create queue": func(ctx context.Context, c *Client) (string, error) {
			return ifAny(queueID)(c.CreateQueue(ctx, testScope, QueueCreate{Name: "a"}))
		},
		"create workflow": func(ctx context.Context, c *Client) (string, error) {
			return ifAny(workflowID)(c.CreateWorkflow(ctx, testScope, WorkflowCreate{Name: "a"}))
		},
		"update queue": func(ctx context.Context, c *Client) (string, error) {
			return ifAny(queueID)(c.UpdateQueue(ctx, testScope, guid, QueueUpdate{}))
		},
		"update package": func(ctx context.Context, c *Client) (string, error) {
			return ifAny(packageID)(c.UpdatePackage(ctx, testScope, guid, PackageUpdate{}))
		},
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"no content":                 {statusAnswer(http.StatusNoContent, "", ""), ""},
		"accepted, empty":            {statusAnswer(http.StatusAccepted, "", ""), ""},
		"created, empty":             {statusAnswer(http.StatusCreated, "application/json", ""), ""},
		"white space":                {jsonAnswer(" \r\n"), ""},
		"null":                       {jsonAnswer("null"), ""},
		"empty object":               {jsonAnswer("{}"), ""},
		"empty list":                 {jsonAnswer("[]"), ""},
		"empty wrapped list":         {jsonAnswer(`{"count":0,"list":[]}`), ""},
		"no list":                    {jsonAnswer(`{"count":0,"list":null}`), ""},
		"an empty text":              {jsonAnswer(`""`), ""},
		"true":                       {jsonAnswer(`true`), ""},
		"another object":             {jsonAnswer(`{"success":true}`), ""},
		"a list without ids":         {jsonAnswer(`[{"success":true}]`), ""},
		"no object in the list":      {jsonAnswer(`{"list":{}}`), ""},
		"an object without id there": {jsonAnswer(`{"count":1,"list":{"name":"a"}}`), ""},
		"an id beside no list":       {jsonAnswer(`{"id":"` + guid + `","list":[]}`), guid},
		"only the id":                {jsonAnswer(`{"id":"` + guid + `"}`), guid},
		"only the id, PascalCase":    {jsonAnswer(`{"Id":"` + guid + `"}`), guid},
		"one object":                 {jsonAnswer(job), guid},
		"a list of one":              {jsonAnswer("[" + job + "]"), guid},
		"a wrapped list of one":      {jsonAnswer(`{"count":1,"list":[` + job + `]}`), guid},
		"one object where a list is": {jsonAnswer(`{"count":1,"list":` + job + `}`), guid},
	} {
		t.Run(name, func(t *testing.T) {
			client := newTestClient(t, serve(t, c.answer), nil)
			for operation, call := range calls {
				if id, err := call(t.Context(), client); err != nil || id != c.want {
					t.Errorf("%s: got id %q, error %v, want id %q", operation, id, err, c.want)
				}
			}
		})
	}
	for name, body := range map[string]string{
		"cut short": `{"id":"` + guid, "text": "OK", "a number and text": "404 page not found", "two values": job + job,
		"a list cut short": `[` + job + `,`,
	} {
		t.Run(name, func(t *testing.T) {
			client := newTestClient(t, serve(t, jsonAnswer(body)), nil)
			for operation, call := range calls {
				if _, err := call(t.Context(), client); fault.CodeOf(err) != fault.UpstreamInvalidResponse {
					t.Errorf("%s: got %v, want %s", operation, err, fault.UpstreamInvalidResponse)
				}
			}
		})
	}
}

func TestExecutionReturnsSingleJob(t *testing.T) {
	client := newTestClient(t, serve(t, jsonAnswer(`{"id":"`+guid+`","name":"a job","state":"Running"}`)), nil)
	jobs, err := client.ExecuteWorkflow(t.Context(), testScope, guid, WorkflowExecution{})
	if err != nil || len(jobs) != 1 {
		t.Fatalf("got %d jobs, error %v, want one job", len(jobs), err)
	}
	if diff := cmp.Diff([]any{guid, "a job", testScope}, []any{jobs[0].ID, jobs[0].Name, jobs[0].Scope()}); diff != "" {
		t.Errorf("job (-want +got):\n%s", diff)
	}
}

func TestUploadsWithShortResponses(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"no content": statusAnswer(http.StatusNoContent, "", ""), "empty": jsonAnswer(""), "empty object": jsonAnswer("{}"),
	} {
		t.Run(name, func(t *testing.T) {
			client := newTestClient(t, serve(t, answer), nil)
			if u, err := client.UploadPackage(t.Context(), testScope, http.NoBody, 0); u != nil || err != nil {
				t.Errorf("upload: got %v, %v, want neither", u, err)
			}
			if u, err := client.CompletePackageUpload(t.Context(), testScope, guid); u != nil || err != nil {
				t.Errorf("complete: got %v, %v, want neither", u, err)
			}
			if u, err := client.CreatePackageUpload(t.Context(), testScope); u != nil || err != nil {
				t.Errorf("prepare: got %v, %v, want neither", u, err)
			}
		})
	}
}

// first returns the id of a list's first entity, empty if there is none.
func first[T any](id func(*T) string) func([]*T, error) (string, error) {
	return func(list []*T, err error) (string, error) {
		if len(list) == 0 {
			return "", err
		}
		return id(list[0]), err
	}
}

// ifAny returns the id of an entity, empty if it is nil.
func ifAny[T any](id func(*T) string) func(*T, error) (string, error) {
	return func(e *T, err error) (string, error) {
		if e == nil {
			return "", err
		}
		return id(e), err
	}
}

// TestMutationsWithTruncatedResponses: a mutation with a truncated response has an unknown outcome.
func TestMutationsWithTruncatedResponses(t *testing.T) {
	for _, framing := range []string{"Content-Length: 500", "Transfer-Encoding: chunked"} {
		for _, body := range []string{"", "{", "{}", "nul", "{} ", "\xef\xbb\xbf{}", `{"id":"` + guid + `"}`} {
			t.Run(fmt.Sprintf("%s %q", framing, body), func(t *testing.T) {
				console := serve(t, func(w http.ResponseWriter, _ *http.Request) {
					conn, _, err := http.NewResponseController(w).Hijack()
					if err != nil {
						t.Error(err)
						return
					}
					defer conn.Close()
					if body != "" && strings.HasPrefix(framing, "Transfer") {
						body = fmt.Sprintf("%x\r\n%s\r\n", len(body), body)
					}
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"+framing+"\r\n\r\n"+body)
				})
				client := newTestClient(t, console, nil)
				err := client.DeleteQueue(t.Context(), testScope, guid)
				if fault.CodeOf(err) != fault.UpstreamUnavailable || fault.OutcomeOf(err) != fault.Unknown {
					t.Errorf("got %v, outcome %v", err, fault.OutcomeOf(err))
				}
			})
		}
	}
}

// TestUpdatesAnsweredWithAnotherEntity: only the entity that was updated is its new state.
func TestUpdatesAnsweredWithAnotherEntity(t *testing.T) {
	entity := func(id, name string) string { return `{"id":"` + id + `","name":"` + name + `"}` }
	other := entity(otherGUID, "other")
	for name, c := range map[string]struct{ answer, want string }{
		"another entity":           {other, ""},
		"an id that is no GUID":    {entity("x", "new"), ""},
		"a list of another":        {"[" + other + "]", ""},
		"another one wrapped":      {`{"count":1,"list":[` + other + `]}`, ""},
		"several, the second":      {`{"count":2,"list":[` + other + `,` + entity(guid, "mine") + `]}`, "mine"},
		"upper case":               {entity(strings.ToUpper(guid), "mine"), "mine"},
		"in braces":                {entity("{"+guid+"}", "mine"), "mine"},
		"without dashes, wrapped":  {`{"list":` + entity(strings.ReplaceAll(guid, "-", ""), "mine") + `}`, "mine"},
		"the id in another member": {`{"id":"` + otherGUID + `","workflowId":"` + guid + `","name":"other"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			client := newTestClient(t, serve(t, jsonAnswer(c.answer)), nil)
			for _, id := range []string{guid, strings.ToUpper(guid), "{" + guid + "}"} {
				got := map[string]string{}
				if q, err := client.UpdateQueue(t.Context(), testScope, id, QueueUpdate{}); err != nil {
					t.Error(err)
				} else if q != nil {
					got["queue"] = q.Name
				}
				if w, err := client.UpdateWorkflow(t.Context(), testScope, id, WorkflowUpdate{}); err != nil {
					t.Error(err)
				} else if w != nil {
					got["workflow"] = w.Name
				}
				if p, err := client.UpdatePackage(t.Context(), testScope, id, PackageUpdate{}); err != nil {
					t.Error(err)
				} else if p != nil {
					got["package"] = p.Name
				}
				want := map[string]string{}
				if c.want != "" {
					want = map[string]string{"queue": c.want, "workflow": c.want, "package": c.want}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("names (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestCreationsAnsweredWithSeveral: the result of a creation is unknown if the response has several entities, or no GUID.
func TestCreationsAnsweredWithSeveral(t *testing.T) {
	for _, answer := range []string{`[{"id":"` + guid + `","name":"a"},{"id":"` + otherGUID + `","name":"b"}]`, `{"id":"x","name":"a"}`} {
		client := newTestClient(t, serve(t, jsonAnswer(answer)), nil)
		if q, err := client.CreateQueue(t.Context(), testScope, QueueCreate{}); q != nil || err != nil {
			t.Errorf("%s: got %v, %v, want neither", answer, q, err)
		}
		if g, err := client.ExecuteWorkflowLayout(t.Context(), testScope, guid); g != nil || err != nil {
			t.Errorf("%s: got %v, %v, want neither", answer, g, err)
		}
	}
}
