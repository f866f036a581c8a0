package consoleclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/textfile"
)

// pages are bodies of foreign responses with their content types.
var pages = map[string]struct{ contentType, body string }{
	"ingress":                {"text/plain; charset=utf-8", "default backend - 404"},
	"Go":                     {"text/plain; charset=utf-8", "404 page not found\n"},
	"nginx":                  {"text/html", "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body><hr><center>nginx</center></body>\r\n</html>\r\n"},
	"Envoy":                  {"text/plain", "RBAC: access denied"},
	"a portal":               {"TEXT/HTML;charset=utf-8", "<!DOCTYPE html><title>Sign in</title>"},
	"JSON said to be HTML":   {"text/html; charset=utf-8", `{"id":"` + guid + `","title":"secret"}`},
	"HTML said to be JSON":   {"application/json", "<html></html>"},
	"XHTML":                  {"application/xhtml+xml", `{"status":404}`},
	"a number":               {"text/plain", "404"},
	"a literal":              {"text/plain", "false"},
	"XML":                    {"application/xml", `<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>`},
	"two JSON values":        {"application/json", "{}{}"},
	"JSON cut short":         {"application/problem+json", `{"title":"Not Fou`},
	"without a content type": {"", "<h1>Blocked</h1>"},
}

// calls returns one operation of each kind.
func calls() map[string]func(context.Context, *Client) error {
	return map[string]func(context.Context, *Client) error{
		"get": func(ctx context.Context, c *Client) error { _, err := c.Queue(ctx, testScope, guid); return err },
		"list": func(ctx context.Context, c *Client) error {
			_, err := c.Queues(ctx, testScope, List[QueueFilter]{IDs: []string{guid}})
			return err
		},
		"self":   func(ctx context.Context, c *Client) error { _, err := c.Self(ctx, testScope); return err },
		"delete": func(ctx context.Context, c *Client) error { return c.DeleteQueue(ctx, testScope, guid) },
		"remove": func(ctx context.Context, c *Client) error { return c.RemoveWorkflowRobot(ctx, testScope, guid, guid) },
		"update": func(ctx context.Context, c *Client) error {
			_, err := c.UpdateQueue(ctx, testScope, guid, QueueUpdate{})
			return err
		},
		"create": func(ctx context.Context, c *Client) error {
			_, err := c.CreateQueue(ctx, testScope, QueueCreate{})
			return err
		},
		"execute": func(ctx context.Context, c *Client) error {
			_, err := c.ExecuteWorkflow(ctx, testScope, guid, WorkflowExecution{})
			return err
		},
		"upload": func(ctx context.Context, c *Client) error {
			_, err := c.UploadPackage(ctx, testScope, strings.NewReader("x"), 1)
			return err
		},
		"complete": func(ctx context.Context, c *Client) error {
			_, err := c.CompletePackageUpload(ctx, testScope, guid)
			return err
		},
	}
}

// countingTokens returns a new token for each call.
type countingTokens struct{ refused int }

func (t *countingTokens) Token(context.Context) (string, error) {
	return fmt.Sprint("token-", t.refused), nil
}

func (t *countingTokens) Refused(context.Context, string) { t.refused++ }

// TestHTMLIsNotConsoleResponse: a foreign response is no refusal, no "not found" and no success.
func TestHTMLIsNotConsoleResponse(t *testing.T) {
	for _, status := range []int{200, 203, 302, 400, 401, 403, 404, 409, 412, 413, 422, 429, 451, 503} {
		for name, page := range pages {
			if strings.HasPrefix(page.contentType, "text/plain") && (status == 400 || status == 422) {
				continue // see TestReasons
			}
			t.Run(fmt.Sprint(status, " ", name), func(t *testing.T) {
				t.Parallel()
				console := serve(t, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
					w.Header()["Content-Type"] = nil
					statusAnswer(status, page.contentType, page.body)(w, r)
				})
				tokens := &countingTokens{}
				client := newTestClient(t, console, func(o *Options) { o.Tokens = tokens })
				for operation, call := range calls() {
					err := call(t.Context(), client)
					var e *Error
					if !errors.As(err, &e) || e.Code != fault.UpstreamInvalidResponse && e.Code != fault.UpstreamUnavailable || e.Status != status {
						t.Errorf("%s: got %v (%s)", operation, err, fault.CodeOf(err))
					} else if strings.Contains(err.Error(), "secret") {
						t.Errorf("%s: the error repeats the page: %v", operation, err)
					}
				}
				if tokens.refused > 0 {
					t.Errorf("%d tokens were taken for refused", tokens.refused)
				}
			})
		}
	}
}

// TestJSONIsConsoleResponse: JSON is the console's with any content type except HTML.
func TestJSONIsConsoleResponse(t *testing.T) {
	for _, contentType := range []string{
		"application/json", "application/problem+json; charset=utf-8", "text/plain", "text/plain; charset=utf-8", "application/octet-stream",
		"text/json", "Application/Problem+JSON", "", "application/json; charset", "text/x",
	} {
		for _, prefix := range []string{"", textfile.ByteOrderMark, "\r\n ", textfile.ByteOrderMark + "\n"} {
			t.Run(contentType+prefix, func(t *testing.T) {
				for status, want := range map[int]fault.Code{
					400: fault.BadUserInput, 401: fault.Unauthenticated, 403: fault.Forbidden, 404: fault.NotFound, 409: fault.Conflict,
					412: fault.Conflict, 413: fault.BadUserInput, 415: fault.BadUserInput, 422: fault.BadUserInput, 429: fault.RateLimited,
				} {
					client := newTestClient(t, serve(t, statusAnswer(status, contentType, prefix+`{"title":"T","detail":"D"}`)), nil)
					for operation, call := range calls() {
						var e *Error
						if err := call(t.Context(), client); !errors.As(err, &e) || e.Code != want || e.Detail != "D" || e.FromIntermediary || e.Empty {
							t.Errorf("%s, status %d: got %v, want %s", operation, status, err, want)
						}
					}
				}
				entity := prefix + `{"id":"` + guid + `","packageId":"` + guid + `","name":"n"}`
				client := newTestClient(t, serve(t, statusAnswer(200, contentType, entity)), nil)
				for operation, call := range calls() {
					if err := call(t.Context(), client); operation != "list" && err != nil {
						t.Errorf("%s: got %v, want success", operation, err)
					}
				}
				client = newTestClient(t, serve(t, statusAnswer(200, contentType, prefix+`{"count":0,"list":[]}`)), nil)
				if err := calls()["list"](t.Context(), client); err != nil {
					t.Errorf("list: got %v, want success", err)
				}
			})
		}
	}
}

// TestEmptyAnswers: an empty body is the console's only where its servers send none.
func TestEmptyAnswers(t *testing.T) {
	const invalid, none = fault.UpstreamInvalidResponse, fault.Code("")
	bearer := http.Header{"Www-Authenticate": {`Bearer error="invalid_token", error_description="expired"`}}
	for name, c := range map[string]struct {
		status              int
		header              http.Header
		get, list, deletion fault.Code
	}{
		"200":                     {200, nil, invalid, invalid, none},
		"202":                     {202, nil, invalid, invalid, none},
		"204":                     {204, nil, invalid, invalid, none},
		"400":                     {400, nil, invalid, invalid, invalid},
		"401 Bearer":              {401, bearer, fault.Unauthenticated, fault.Unauthenticated, fault.Unauthenticated},
		"401 bearer":              {401, http.Header{"Www-Authenticate": {"bearer"}}, fault.Unauthenticated, fault.Unauthenticated, fault.Unauthenticated},
		"401 of several schemes":  {401, http.Header{"Www-Authenticate": {`Basic realm="a"`, "Negotiate, Bearer"}}, fault.Unauthenticated, fault.Unauthenticated, fault.Unauthenticated},
		"401 Basic":               {401, http.Header{"Www-Authenticate": {`Basic realm="Bearer"`}}, invalid, invalid, invalid},
		"401 without a challenge": {401, nil, invalid, invalid, invalid},
		"403":                     {403, nil, fault.Forbidden, fault.Forbidden, fault.Forbidden},
		"404":                     {404, nil, fault.NotFound, invalid, invalid},
		"410":                     {410, nil, fault.NotFound, invalid, invalid},
		"407":                     {407, nil, invalid, invalid, invalid},
		"409":                     {409, nil, invalid, invalid, invalid},
		"412":                     {412, nil, invalid, invalid, invalid},
		"415":                     {415, nil, invalid, invalid, invalid},
		"429":                     {429, http.Header{"Retry-After": {"1"}}, fault.RateLimited, fault.RateLimited, fault.RateLimited},
		"500":                     {500, nil, fault.UpstreamUnavailable, fault.UpstreamUnavailable, fault.UpstreamUnavailable},
		"302":                     {302, http.Header{"Location": {"/login"}}, invalid, invalid, invalid},
	} {
		t.Run(name, func(t *testing.T) {
			client := newTestClient(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
				for name, values := range c.header {
					w.Header()[name] = values
				}
				w.WriteHeader(c.status)
			}), nil)
			for operation, want := range map[string]fault.Code{
				"get": c.get, "list": c.list, "delete": c.deletion, "update": c.deletion, "create": c.deletion, "execute": c.deletion,
			} {
				err := calls()[operation](t.Context(), client)
				if got := fault.CodeOf(err); got != want {
					t.Errorf("%s: got %v (%s), want %q", operation, err, got, want)
				}
				var e *Error
				if errors.As(err, &e) && e.Status >= 400 && (e.Empty == e.FromIntermediary) {
					t.Errorf("%s: empty %v, foreign %v: want one of them", operation, e.Empty, e.FromIntermediary)
				}
			}
			// The robots of a workflow are a list, although the path holds the workflow's id.
			if _, err := client.WorkflowRobots(t.Context(), testScope, guid, 0, 0); fault.CodeOf(err) != c.list {
				t.Errorf("robots of a workflow: got %v, want %q", err, c.list)
			}
		})
	}
}

// TestStorageAnswers: the storage accepts a file with an empty response or JSON. Its other responses are never the
// console's refusal.
func TestStorageAnswers(t *testing.T) {
	const invalid = fault.UpstreamInvalidResponse
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   fault.Code
	}{
		"created":            {statusAnswer(201, "", ""), ""},
		"empty, as XML":      {statusAnswer(200, "application/xml", ""), ""},
		"empty, as HTML":     {statusAnswer(200, "text/html", ""), ""},
		"callback":           {statusAnswer(200, "application/json", `{"Status":"OK"}`), ""},
		"portal":             {statusAnswer(200, "text/html", "<html>sign in</html>"), invalid},
		"error with success": {statusAnswer(200, "application/xml", "<Error><Code>InternalError</Code></Error>"), invalid},
		"text":               {statusAnswer(200, "text/plain", "ok"), invalid},
		"expired":            {statusAnswer(403, "application/xml", "<Error><Code>AccessDenied</Code></Error>"), invalid},
		"unauthorised":       {statusAnswer(401, "application/json", `{"title":"secret"}`), invalid},
		"forbidden, empty":   {statusAnswer(403, "", ""), invalid},
		"no such bucket":     {statusAnswer(404, "application/json", `{"title":"secret"}`), invalid},
		"no length":          {statusAnswer(411, "", ""), invalid},
		"down":               {statusAnswer(503, "application/json", `{"title":"secret","detail":"secret"}`), fault.UpstreamUnavailable},
		"redirect":           {statusAnswer(302, "", ""), invalid},
	} {
		t.Run(name, func(t *testing.T) {
			storage := serve(t, c.answer)
			client := newTestClient(t, storage, nil)
			err := client.PutPackageFile(t.Context(), UploadChannel{URI: storage.URL}, strings.NewReader("x"), 1)
			if got := fault.CodeOf(err); got != c.want {
				t.Errorf("got %v (%s), want %q", err, got, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error repeats the storage: %v", err)
			}
		})
	}
}

// TestReasons: the caller sees the console's reason in every format.
func TestReasons(t *testing.T) {
	const asp = "One or more validation errors occurred."
	for name, c := range map[string]struct{ contentType, body, title, detail string }{
		"validation": {"application/problem+json", `{"title":"` + asp + `","status":400,"errors":{"Name":["is taken"]}}`, asp, "Name: is taken"},
		"validation of several": {
			"application/json", `{"errors":{"Priority":["too high","no number"],"Name":["is taken"]},"title":"T"}`,
			"T", "Name: is taken; Priority: too high; Priority: no number",
		},
		"validation of a path":       {"application/json", `{"errors":{"$.name":["is taken"],"$":"bad"}}`, "", "bad; name: is taken"},
		"validation beside a detail": {"application/json", `{"title":"T","detail":"D","errors":{"Name":["is taken"]}}`, "T", "D; Name: is taken"},
		"detail and the same reason": {"application/json", `{"detail":"D","errors":["D"]}`, "", "D"},
		"Web API":                    {"application/json", `{"Message":"The request is invalid.","ModelState":{"q.Name":["is taken"]}}`, "", "The request is invalid.; q.Name: is taken"},
		"serializable error":         {"application/json", `{"Name":["is taken"]}`, "", "Name: is taken"},
		"Identity":                   {"application/json", `[{"code":"DuplicateName","description":"is taken"}]`, "", "is taken"},
		"errors as a list":           {"application/json", `{"errors":[{"field":"Name","message":"is taken"},{"msg":"also"}]}`, "", "Name: is taken; also"},
		"text":                       {"text/plain; charset=utf-8", "is taken", "", "is taken"},
		"JSON text":                  {"application/json", `"is taken"`, "", "is taken"},
		"JSON text as text":          {"text/plain", `"is taken"`, "", "is taken"},
		"message in error":           {"application/json", `{"error":{"code":"X1","message":"is taken"}}`, "", "is taken"},
		"error":                      {"application/json", `{"error":"is taken"}`, "", "is taken"},
		"message":                    {"application/json", `{"message":"is taken"}`, "", "is taken"},
		"Chinese frameworks":         {"application/json", `{"code":400,"msg":"名称已存在"}`, "", "名称已存在"},
		"OAuth":                      {"application/json", `{"error":"invalid_request","error_description":"is taken"}`, "", "is taken"},
		"a mark before it":           {"application/json", textfile.ByteOrderMark + `{"message":"is taken"}`, "", "is taken"},
		"control characters":         {"application/json", `{"message":"a\u0000b\u001b[31m\r\nc\u202ed\u2028e"}`, "", "a b [31m  cd e"},
		"no reason":                  {"application/json", `{"status":400}`, "", ""},
		"reason of no text":          {"application/json", `{"detail":{"a":1},"message":7,"errors":3}`, "", ""},
		"long":                       {"application/json", `{"message":"` + strings.Repeat("云", 5000) + `"}`, "", strings.Repeat("云", 1024) + "…"},
		"the token":                  {"application/json", `{"message":"refused ` + bearer + `","errors":{"` + bearer + `":["` + bearer + `"]}}`, "", "refused (hidden); (hidden): (hidden)"},
		"the token, as text":         {"text/plain", "refused " + bearer, "", "refused (hidden)"},
		"the token at the bound":     {"application/json", `{"message":"` + strings.Repeat("x", 1020) + bearer + `"}`, "", strings.Repeat("x", 1020) + "(hid…"},
		"another token":              {"application/json", `{"message":"refused eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"}`, "", "refused (hidden)"},
	} {
		t.Run(name, func(t *testing.T) {
			client := newTestClient(t, serve(t, statusAnswer(400, c.contentType, c.body)), nil)
			err := client.DeleteQueue(t.Context(), testScope, guid)
			title := c.title
			if title == "" {
				title = "Bad Request"
			}
			var e *Error
			if !errors.As(err, &e) || e.Code != fault.BadUserInput || e.Title != title || e.Detail != c.detail {
				t.Errorf("got %#v\nwant title %q, detail %q", err, title, c.detail)
			}
		})
	}
	many := `{"errors":[` + strings.Repeat(`"`+strings.Repeat("x", 100)+`",`, 100) + `"y"]}`
	deep := strings.Repeat(`{"errors":[`, 1000) + strings.Repeat(`]}`, 1000)
	for _, body := range []string{many, deep} {
		client := newTestClient(t, serve(t, statusAnswer(400, "application/json", body)), nil)
		if err := client.DeleteQueue(t.Context(), testScope, guid); fault.CodeOf(err) != fault.BadUserInput || len(err.Error()) > 4*maxProblemText {
			t.Errorf("got %d bytes, %s", len(err.Error()), fault.CodeOf(err))
		}
	}
	// A proxy may have written the text: the reason is shown, and nothing else follows from it.
	client := newTestClient(t, serve(t, statusAnswer(400, "text/plain", "bad request")), nil)
	var e *Error
	if err := client.DeleteQueue(t.Context(), testScope, guid); !errors.As(err, &e) || !e.FromIntermediary {
		t.Errorf("got %#v, want a foreign answer", err)
	}
}

// TestConsoleFailures verifies that details of a console failure appear only in the debug log, and only of reads.
func TestConsoleFailures(t *testing.T) {
	const secret = "Server=10.0.0.1;Password=hunter2"
	for name, body := range map[string]string{
		"detail":     `{"title":"An error occurred.","status":500,"detail":"` + secret + `\n at System.Data.Open()"}`,
		"message":    `{"title":"An error occurred.","message":"` + secret + `"}`,
		"errors":     `{"title":"An error occurred.","errors":{"db":["` + secret + `"]}}`,
		"error":      `{"title":"An error occurred.","error":{"message":"` + secret + `"}}`,
		"the token":  `{"title":"An error occurred.","detail":"` + secret + ` ` + bearer + `"}`,
		"exceptions": `{"title":"An error occurred.","error":{"innererror":{"stacktrace":"` + secret + `"}}}`,
	} {
		for _, status := range []int{500, 501, 502, 503, 504} {
			t.Run(fmt.Sprint(status, " ", name), func(t *testing.T) {
				var log bytes.Buffer
				client := newTestClient(t, serve(t, statusAnswer(status, "application/json", body)), func(o *Options) {
					o.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				})
				if err := client.DeleteQueue(t.Context(), testScope, guid); err == nil || strings.Contains(log.String(), "hunter2") {
					t.Errorf("%v of a change logged: %s", err, log.String())
				}
				_, err := client.Queue(t.Context(), testScope, guid)
				var e *Error
				if !errors.As(err, &e) || e.Title != "An error occurred." || e.Detail != "" || e.Status != status {
					t.Fatalf("got %#v", err)
				}
				if strings.Contains(err.Error(), "hunter2") {
					t.Errorf("the caller gets: %v", err)
				}
				if !strings.Contains(log.String(), "hunter2") || !strings.Contains(log.String(), `"level":"DEBUG"`) || strings.Contains(log.String(), bearer) {
					t.Errorf("logged: %s", log.String())
				}
			})
		}
	}
}

func TestReadJSON(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"JSON":           {jsonAnswer(`{"a":1}`), `{"a":1}`},
		"a mark":         {jsonAnswer(textfile.ByteOrderMark + `{"a":1}`), `{"a":1}`},
		"keys":           {statusAnswer(200, "application/jwk-set+json", `{"keys":[]}`), `{"keys":[]}`},
		"without a type": {statusAnswer(200, "", `{"a":1}`), `{"a":1}`},
		"page":           {statusAnswer(200, "text/html", "<html>"), ""},
		"JSON as HTML":   {statusAnswer(200, "text/html", "{}"), ""},
		"status":         {statusAnswer(404, "application/json", "{}"), ""},
		"empty":          {statusAnswer(200, "application/json", ""), ""},
		"no content":     {statusAnswer(204, "", ""), ""},
		"too large":      {jsonAnswer(`{"a":"` + strings.Repeat("x", 2000) + `"}`), ""},
		"cut short":      {jsonAnswer(`{"a":`), ""},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, serve(t, c.answer).URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(http.DefaultClient.CloseIdleConnections)
			defer func() { _ = resp.Body.Close() }()
			got, err := ReadJSON(resp, 1000)
			if string(got) != c.want || (err == nil) != (c.want != "") {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
		})
	}
}
