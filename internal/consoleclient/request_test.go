package consoleclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/fault"
)

func TestNewRefuses(t *testing.T) {
	good := Options{APIURL: "https://console.test/api/", Tokens: staticToken("t")}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Options){
		"no URL":             func(o *Options) { o.APIURL = "" },
		"relative URL":       func(o *Options) { o.APIURL = "/api" },
		"another scheme":     func(o *Options) { o.APIURL = "ftp://console.test" },
		"not a URL":          func(o *Options) { o.APIURL = "http://[" },
		"credentials in URL": func(o *Options) { o.APIURL = "http://user:secret@console.test" },
		"query in URL":       func(o *Options) { o.APIURL = "http://console.test/?key=secret" },
		"no tokens":          func(o *Options) { o.Tokens = nil },
		"relative path":      func(o *Options) { o.QueueCreatePath = "openapi/queues" },
		"negative timeout":   func(o *Options) { o.Timeout = -1 },
		"negative size":      func(o *Options) { o.MaxResponseBytes = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			change(&o)
			_, err := New(o)
			if err == nil {
				t.Fatal("accepted")
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
	if _, err := NewSSO(good); err == nil {
		t.Error("an SSO without a URL was accepted")
	}
}

func TestBasePath(t *testing.T) {
	for name, base := range map[string]string{"without slash": "/console/api", "with slash": "/console/api/"} {
		t.Run(name, func(t *testing.T) {
			console := serve(t, jsonAnswer(`{"count":0,"list":[]}`))
			client := newTestClient(t, console, func(o *Options) { o.APIURL += base })
			if _, err := client.Robots(t.Context(), testScope, List[RobotFilter]{}); err != nil {
				t.Fatal(err)
			}
			if r := console.last(t); r.Path != "/console/api/openapi/robots" {
				t.Errorf("path %s", r.Path)
			}
		})
	}
}

// An id enters a path only if it is a GUID.
func TestPathIDs(t *testing.T) {
	console := serve(t, jsonAnswer(`{}`))
	client := newTestClient(t, console, nil)
	for name, id := range map[string]string{
		"empty": "", "text": "abc", "traversal": "../../queues/" + guid, "escape": "%2e%2e%2f", "query": guid + "?x=1",
		"braces": "{" + guid, "newline": guid + "\n", "not hexadecimal": strings.Replace(guid, "a", "g", 1),
		"placeholder": "{robotId}", "long": strings.Repeat("x", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			calls := map[string]func(context.Context) error{
				"packageId":        func(ctx context.Context) error { return client.DeletePackage(ctx, testScope, id) },
				"queueId":          func(ctx context.Context) error { _, err := client.Queue(ctx, testScope, id); return err },
				"workflowId":       func(ctx context.Context) error { return client.RemoveWorkflowRobot(ctx, testScope, id, guid) },
				"robotId":          func(ctx context.Context) error { return client.RemoveWorkflowRobot(ctx, testScope, guid, id) },
				"workflowlayoutId": func(ctx context.Context) error { _, err := client.WorkflowLayout(ctx, testScope, id); return err },
				"id": func(ctx context.Context) error {
					_, err := client.CompletePackageUpload(ctx, testScope, id)
					return err
				},
			}
			for argument, call := range calls {
				err := call(t.Context())
				var f *fault.Error
				if !errors.As(err, &f) || f.Code != fault.BadUserInput || f.Argument != argument {
					t.Errorf("%s: got %#v", argument, err)
				} else if len(f.Message) > 200 {
					t.Errorf("%s: a long message: %s", argument, f.Message)
				}
			}
		})
	}
	if n := len(console.all()); n != 0 {
		t.Errorf("the console was asked %d times", n)
	}
}

func TestErrors(t *testing.T) {
	const notOwn = "the answer is not the console's own"
	const problem = `{"type":"about:blank","title":"Queue in use","status":409,"detail":"3 workflows\nuse it","instance":"/x","extensions":{"k":1}}`
	for name, c := range map[string]struct {
		status              int
		contentType, body   string
		kind                fault.Code
		wantTitle, wantText string
	}{
		"problem":                {409, "application/problem+json", problem, fault.Conflict, "Queue in use", "3 workflows use it"},
		"problem in Pascal case": {400, "application/json", `{"Title":"T","Detail":"D"}`, fault.BadUserInput, "T", "D"},
		"problem without texts":  {400, "application/json", `{"title":null}`, fault.BadUserInput, "Bad Request", ""},
		"page of a proxy":        {502, "text/html", "<html>10.0.0.1 secret</html>", fault.UpstreamUnavailable, "Bad Gateway", ""},
		"cut short":              {400, "application/json", `{"title":"T`, fault.UpstreamInvalidResponse, "Bad Request", notOwn},
		"a list":                 {400, "application/json", `["is taken"]`, fault.BadUserInput, "Bad Request", "is taken"},
		"huge":                   {400, "application/json", `{"x":"` + strings.Repeat("y", 70<<10) + `","title":"T"}`, fault.BadUserInput, "T", ""},
		"too large": {400, "application/json", `{"x":"` + strings.Repeat("y", maxProblemBytes) + `","title":"T"}`,
			fault.UpstreamInvalidResponse, "Bad Request", notOwn},
		"long detail": {400, "application/json", `{"title":"T","detail":"` + strings.Repeat("云", 2000) + `"}`,
			fault.BadUserInput, "T", strings.Repeat("云", 1024) + "…"},
		"401": {401, "", `{"detail":""}`, fault.Unauthenticated, "Unauthorized", ""},
		"403": {403, "", "", fault.Forbidden, "Forbidden", ""},
		"404": {404, "", `{"detail":""}`, fault.NotFound, "Not Found", ""},
		"405": {405, "", `{"detail":""}`, fault.UpstreamInvalidResponse, "Method Not Allowed", ""},
		"408": {408, "", "", fault.UpstreamTimeout, "Request Timeout", ""},
		"410": {410, "", `{"detail":""}`, fault.NotFound, "Gone", ""},
		"412": {412, "", `{"detail":""}`, fault.Conflict, "Precondition Failed", ""},
		"423": {423, "", `{"detail":""}`, fault.Conflict, "Locked", ""},
		"413": {413, "", `{"detail":""}`, fault.BadUserInput, "Request Entity Too Large", ""},
		"415": {415, "", `{"detail":""}`, fault.BadUserInput, "Unsupported Media Type", ""},
		"422": {422, "", `{"detail":""}`, fault.BadUserInput, "Unprocessable Entity", ""},
		"429": {429, "", "", fault.RateLimited, "Too Many Requests", ""},
		"500": {500, "", "", fault.UpstreamUnavailable, "Internal Server Error", ""},
		"503": {503, "", "", fault.UpstreamUnavailable, "Service Unavailable", ""},
		"504": {504, "", "", fault.UpstreamTimeout, "Gateway Timeout", ""},
		"302": {302, "", "", fault.UpstreamInvalidResponse, "Found", "the answer is empty"},
		"599": {599, "", "", fault.UpstreamUnavailable, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			console := serve(t, statusAnswer(c.status, c.contentType, c.body))
			client := newTestClient(t, console, nil)
			err := client.DeleteQueue(t.Context(), testScope, guid)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			if e.Status != c.status || e.Code != c.kind || e.Title != c.wantTitle || e.Detail != c.wantText {
				t.Errorf("got %d %s %q %q", e.Status, e.Code, e.Title, e.Detail)
			}
			if e.Operation != "DELETE /openapi/queues/{queueId}" || fault.CodeOf(fmt.Errorf("wrapped: %w", err)) != c.kind {
				t.Errorf("operation %q, code %s", e.Operation, fault.CodeOf(err))
			}
			text := err.Error()
			for _, hidden := range []string{"secret", bearer, "127.0.0.1", guid} {
				if strings.Contains(text, hidden) {
					t.Errorf("the error shows %q: %s", hidden, text)
				}
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	for name, c := range map[string]struct {
		header, date string
		want         time.Duration
	}{
		"seconds":         {"7", "", 7 * time.Second},
		"nothing":         {"", "", 0},
		"nonsense":        {"soon", "", 0},
		"negative":        {"-5", "", 0},
		"absurd":          {"99999999", "", 5 * time.Minute},
		"date":            {"Fri, 29 Jul 2022 12:14:00 GMT", "Fri, 29 Jul 2022 12:13:00 GMT", time.Minute},
		"date past":       {"Fri, 29 Jul 2022 12:12:00 GMT", "Fri, 29 Jul 2022 12:13:00 GMT", 0},
		"date of nothing": {"Fri, 29 Jul 2022 12:14:00 GMT", "no date", 0},
	} {
		t.Run(name, func(t *testing.T) {
			console := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", c.header)
				if c.date != "" {
					w.Header().Set("Date", c.date)
				}
				w.WriteHeader(http.StatusTooManyRequests)
			})
			_, err := newTestClient(t, console, nil).Robot(t.Context(), testScope, guid)
			var e *Error
			if !errors.As(err, &e) || e.RetryAfter != c.want {
				t.Errorf("got %v of %v, want %v", e.RetryAfter, err, c.want)
			}
		})
	}
}

// Missing, incomplete and invalid responses have different errors.
func TestInvalidAnswers(t *testing.T) {
	entity := func(ctx context.Context, c *Client) error { _, err := c.Robot(ctx, testScope, guid); return err }
	list := func(ctx context.Context, c *Client) error {
		_, err := c.Robots(ctx, testScope, List[RobotFilter]{})
		return err
	}
	tree := func(ctx context.Context, c *Client) error { _, err := c.DepartmentTree(ctx, testScope); return err }
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		call   func(context.Context, *Client) error
		want   fault.Code
	}{
		"entity: and a text":       {jsonAnswer(`{"id":"` + guid + `"} upstream reset`), entity, fault.UpstreamInvalidResponse},
		"entity: twice":            {jsonAnswer(`{"id":"` + guid + `"}` + "\n" + `{"id":"` + guid + `"}`), entity, fault.UpstreamInvalidResponse},
		"entity: closed twice":     {jsonAnswer(`{"id":"` + guid + `"}}`), entity, fault.UpstreamInvalidResponse},
		"list: and a page":         {jsonAnswer(`{"count":1,"list":[{"id":"1"}]}<html>`), list, fault.UpstreamInvalidResponse},
		"list: and a far page":     {jsonAnswer(`{"count":1,"list":[{"id":"1"}]}` + strings.Repeat(" ", 200<<10) + `<html>`), list, fault.UpstreamInvalidResponse},
		"list: bare, and a text":   {jsonAnswer(`[{"id":"1"}],`), list, fault.UpstreamInvalidResponse},
		"tree: and a text":         {jsonAnswer(`{"count":1,"rootDepartment":{"id":"` + guid + `"}}x`), tree, fault.UpstreamInvalidResponse},
		"tree: an object":          {jsonAnswer(`{}`), tree, fault.UpstreamInvalidResponse},
		"tree: a message":          {jsonAnswer(`{"message":"no Route matched"}`), tree, fault.UpstreamInvalidResponse},
		"tree: a problem":          {jsonAnswer(`{"title":"Not Found","status":404}`), tree, fault.UpstreamInvalidResponse},
		"tree: without an id":      {jsonAnswer(`{"count":1,"rootDepartment":{}}`), tree, fault.UpstreamInvalidResponse},
		"entity: empty":            {jsonAnswer(""), entity, fault.UpstreamInvalidResponse},
		"entity: 204":              {statusAnswer(204, "", ""), entity, fault.UpstreamInvalidResponse},
		"entity: page of a proxy":  {statusAnswer(200, "text/html", "<html>sign in</html>"), entity, fault.UpstreamInvalidResponse},
		"entity: no id":            {jsonAnswer(`{"name":"x"}`), entity, fault.UpstreamInvalidResponse},
		"entity: null":             {jsonAnswer(`null`), entity, fault.UpstreamInvalidResponse},
		"entity: a text":           {jsonAnswer(`"x"`), entity, fault.UpstreamInvalidResponse},
		"entity: a list":           {jsonAnswer(`[]`), entity, fault.UpstreamInvalidResponse},
		"entity: cut short":        {jsonAnswer(`{"id":"` + guid), entity, fault.UpstreamInvalidResponse},
		"entity: wrapped, none":    {jsonAnswer(`{"count":0,"list":[]}`), entity, fault.NotFound},
		"entity: Wrapped, none":    {jsonAnswer(`{"Count":0,"List":[]}`), entity, fault.NotFound},
		"entity: wrapped, null":    {jsonAnswer(`{"count":0,"list":null}`), entity, fault.UpstreamInvalidResponse},
		"entity: wrapped, no list": {jsonAnswer(`{"count":1,"list":3}`), entity, fault.UpstreamInvalidResponse},
		"list: empty":              {jsonAnswer(""), list, fault.UpstreamInvalidResponse},
		"list: an object":          {jsonAnswer(`{}`), list, fault.UpstreamInvalidResponse},
		"list: a text":             {jsonAnswer(`"x"`), list, fault.UpstreamInvalidResponse},
		"list: of texts":           {jsonAnswer(`{"count":1,"list":["x"]}`), list, fault.UpstreamInvalidResponse},
		"list: cut short":          {jsonAnswer(`{"count":2,"list":[{"id":"1"},`), list, fault.UpstreamInvalidResponse},
		"list: cut after element":  {jsonAnswer(`{"count":2,"list":[{"id":"1"}`), list, fault.UpstreamInvalidResponse},
		"list: cut after list":     {jsonAnswer(`{"count":2,"list":[{"id":"1"}]`), list, fault.UpstreamInvalidResponse},
		"list: connection lost": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"list":[`)
		}, list, fault.UpstreamUnavailable},
		"no answer": {dropConnection, func(ctx context.Context, c *Client) error {
			return c.DeleteQueue(ctx, testScope, guid)
		}, fault.UpstreamUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.call(t.Context(), newTestClient(t, serve(t, c.answer), nil))
			var e *Error
			if !errors.As(err, &e) || e.Code != c.want {
				t.Fatalf("got %v, want %s", err, c.want)
			}
			if strings.Contains(err.Error(), "127.0.0.1") {
				t.Errorf("the error shows an address: %v", err)
			}
		})
	}
}

func TestListShapes(t *testing.T) {
	for name, c := range map[string]struct {
		http        string
		count, size int
	}{
		"count last":     {`{"list":[{"id":"1"}],"count":7}`, 7, 1},
		"no count":       {`{"list":[{"id":"1"},{"id":"2"}]}`, -1, 2},
		"bare":           {`[{"id":"1"}]`, 1, 1},
		"null list":      {`{"count":0,"list":null}`, 0, 0},
		"null element":   {`{"count":"2","list":[null,{"id":"1"}]}`, 2, 1},
		"other elements": {`{"count":5,"list":[[],1,"x",{"id":"1"},true]}`, 5, 1},
		"null count":     {`{"count":null,"list":[]}`, -1, 0},
		"other members":  {`{"next":{"list":[]},"LIST":[{"id":"1"}],"COUNT":1}`, 1, 1},
		"wrong types":    {`{"count":1,"list":[{"id":7,"name":null,"status":{},"canUpgrade":"true","lastHeartbeatTime":5,"companyId":3}]}`, 1, 1},
		"repeated names": {`{"count":1,"list":[{"id":"0","id":"1"}]}`, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := newTestClient(t, serve(t, jsonAnswer(c.http)), nil).Robots(t.Context(), testScope, List[RobotFilter]{})
			if err != nil {
				t.Fatal(err)
			}
			if got.Count != c.count || len(got.List) != c.size {
				t.Errorf("got count %d, %d elements", got.Count, len(got.List))
			}
		})
	}
}

// A field of an unexpected type does not lose its entity.
func TestMistypedFields(t *testing.T) {
	const wire = `{"id":"` + guid + `","name":7,"description":{"a":1},"tags":"one","arguments":[{"name":"a","assetContent":"b"},3,null],` +
		`"jobStateNotification":[],"priority":"high","videoRecordMode":true,"lastTriggeredAt":[],"properties":"x","packageId":null}`
	got, err := newTestClient(t, serve(t, jsonAnswer(wire)), nil).Workflow(t.Context(), testScope, guid)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"id": guid, "name": "7", "description": `{"a":1}`, "tags": []any{"one"}, "priority": 0.0, "maxRetryCount": 0.0, "triggeredCount": 0.0,
		"arguments":            []any{map[string]any{"name": "a", "assetContent": map[string]any{"name": "", "isRequiredEncryption": false}}},
		"jobStateNotification": map[string]any{"switchOn": false, "justNoticeAgainstLastRuninstance": false},
	}
	if diff := cmp.Diff(want, tree(t, got)); diff != "" {
		t.Error(diff)
	}
}

func TestAnswerTooLarge(t *testing.T) {
	answer := `{"count":1,"list":[{"id":"` + guid + `"}]}`
	for name, c := range map[string]struct {
		max  int64
		want fault.Code
	}{
		"just fits":     {int64(len(answer)), ""},
		"one too large": {int64(len(answer)) - 1, fault.UpstreamInvalidResponse},
		"far too large": {3, fault.UpstreamInvalidResponse},
	} {
		t.Run(name, func(t *testing.T) {
			client := newTestClient(t, serve(t, jsonAnswer(answer)), func(o *Options) { o.MaxResponseBytes = c.max })
			_, listErr := client.Robots(t.Context(), testScope, List[RobotFilter]{})
			_, oneErr := client.Robot(t.Context(), testScope, guid)
			for _, err := range []error{listErr, oneErr} {
				if got := fault.CodeOf(err); got != c.want {
					t.Errorf("got %v", err)
				}
				if err != nil && !strings.Contains(err.Error(), "larger than") {
					t.Errorf("the error does not say why: %v", err)
				}
			}
		})
	}
}

// endless returns a list of n elements without holding it in memory.
type endless struct {
	n    int
	rest []byte
	head bool
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		switch {
		case !e.head:
			e.head, e.rest = true, []byte(`{"count":1,"list":[`)
		case e.n > 0:
			e.n--
			e.rest = []byte(`{"id":"` + guid + `","name":"` + strings.Repeat("n", 4000) + `"}`)
			if e.n > 0 {
				e.rest = append(e.rest, ',')
			}
		case e.n == 0:
			e.n--
			e.rest = []byte("]}")
		default:
			return 0, io.EOF
		}
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// A list is never held as a whole: 80 MB pass through a small heap.
func TestListIsStreamed(t *testing.T) {
	const elements = 20_000
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var highest uint64
	n := 0
	a := newResponseReader(&endless{n: elements})
	defer a.free()
	_, _, err := decodeList(a, []string{"list"}, func(*Robot, int) {
		if n++; n%2000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			highest = max(highest, now.HeapAlloc)
		}
	})
	if err != nil || n != elements {
		t.Fatalf("got %d elements, %v", n, err)
	}
	if grown := int64(highest) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}
