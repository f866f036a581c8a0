package requests

import (
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// sentAs sends an operation with variables $n: Int, $s: String and $q: QueueFilter by one
// transport. It returns the refusal; empty: it was accepted.
type sentAs func(w *e2e.World, variables string) string

const requestedFields = `workflows(first: $n, filter: {name: $s}) { totalCount } queues(filter: $q) { totalCount }`

const requestedQuery = `query($n: Int, $s: String, $q: QueueFilter) { ` + requestedFields + ` }`

var transportsOfRequests = map[string]sentAs{
	"POST": func(w *e2e.World, variables string) string {
		return quotedReason(sendGraphQL(w, "POST", "/graphql", fmt.Sprintf(`{"query":%q,"variables":%s}`, requestedQuery, variables), e2e.JSONBody))
	},
	"GET": func(w *e2e.World, variables string) string {
		return quotedReason(sendGraphQL(w, "GET", "/graphql?query="+url.QueryEscape(requestedQuery)+"&variables="+url.QueryEscape(variables), "", nil))
	},
	"events by POST": func(w *e2e.World, variables string) string {
		return eventErrors(w.Send("POST", "/graphql", fmt.Sprintf(`{"query":%q,"variables":%s}`, requestedQuery, variables), e2e.MergeHeaders(e2e.JSONBody, map[string]string{"Accept": "text/event-stream"})))
	},
	"events by GET": func(w *e2e.World, variables string) string {
		return eventErrors(w.Send("GET", "/graphql?query="+url.QueryEscape(requestedQuery)+"&variables="+url.QueryEscape(variables), "", map[string]string{"Accept": "text/event-stream"}))
	},
	"WebSocket": func(w *e2e.World, variables string) string {
		s := w.Socket(nil)
		text := fmt.Sprintf(`{"id":"1","type":"subscribe","payload":{"query":%q,"variables":%s}}`, requestedQuery, variables)
		if err := s.Conn.Write(w.T.Context(), websocket.MessageText, []byte(text)); err != nil {
			w.T.Fatal(err)
		}
		m, err := s.Read()
		if err != nil {
			return fmt.Sprintf("closed with %d", websocket.CloseStatus(err))
		}
		if m.Type == "error" {
			return quotedReason(e2e.Answer{Errors: e2e.Decode[[]e2e.GraphError](w.T, m.Payload)})
		}
		return quotedReason(e2e.Decode[e2e.Answer](w.T, m.Payload))
	},
	"multipart": func(w *e2e.World, variables string) string {
		const query = `mutation($n: Int, $s: String, $q: QueueFilter, $file: Upload!) { uploadPackage(input: {file: $file}) { package { department { ` + requestedFields + ` } } } }`
		var body strings.Builder
		form := multipart.NewWriter(&body)
		for _, p := range [][2]string{{"operations", fmt.Sprintf(`{"query":%q,"variables":%s}`, query, variables)}, {"map", `{"0":["variables.file"]}`}} {
			if err := form.WriteField(p[0], p[1]); err != nil {
				w.T.Fatal(err)
			}
		}
		file, err := form.CreateFormFile("0", "p.dgs")
		if err != nil {
			w.T.Fatal(err)
		}
		if _, err := file.Write([]byte("a package")); err != nil {
			w.T.Fatal(err)
		}
		if err := form.Close(); err != nil {
			w.T.Fatal(err)
		}
		return quotedReason(sendGraphQL(w, "POST", "/graphql", body.String(), map[string]string{"Content-Type": form.FormDataContentType()}))
	},
}

// quotedReason returns the argument and the message of the first error that concerns the
// request.
func quotedReason(a e2e.Answer) string {
	for _, e := range a.Errors {
		if code := e.Extensions.Code; code == "BAD_USER_INPUT" || code == "GRAPHQL_VALIDATION_FAILED" {
			return e.Extensions.Argument + " | " + e.Message
		}
	}
	return ""
}

func eventErrors(_ *http.Response, body []byte) string {
	text := string(body)
	if _, data, isEvent := strings.Cut(text, "event: next\ndata: "); isEvent {
		text, _, _ = strings.Cut(data, "\n")
	}
	var a e2e.Answer
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return err.Error()
	}
	return quotedReason(a)
}

// TestRequestsByAllTransports verifies that all transports accept and refuse the same text. A
// refusal makes no call.
func TestRequestsByAllTransports(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	const half = "holds one half of a surrogate pair, which is no character"
	for name, tt := range map[string]struct{ variables, argument, says string }{
		"nothing":                     {`{}`, "", ""},
		"null":                        {`{"n":null,"s":null}`, "", ""},
		"an integer":                  {`{"n":2}`, "", ""},
		"an empty fraction":           {`{"n":2.0}`, "", ""},
		"an exponent":                 {`{"n":2e0}`, "", ""},
		"an exponent that divides":    {`{"n":20E-1}`, "", ""},
		"a fraction":                  {`{"n":2.5}`, "n", "is no Int"},
		"a small fraction":            {`{"n":2e-1}`, "n", "is no Int"},
		"digits as a text":            {`{"n":"2"}`, "n", "is no Int"},
		"no 32 bits":                  {`{"n":2147483648}`, "n", "is not an integer of 32 bits"},
		"no 64 bits":                  {`{"n":1e30}`, "n", "is not an integer of 32 bits"},
		"no float":                    {`{"n":1e999}`, "n", "is no Int"},
		"a list for one":              {`{"n":[2]}`, "n", "is no Int"},
		"a number for a text":         {`{"s":5}`, "s", "is no String"},
		"a number for a text, nested": {`{"q":{"name":5}}`, "q.name", "is no String"},
		"an unknown field":            {`{"q":{"colour":"red"}}`, "q.colour", "unknown field"},
		"a type's name":               {`{"q":{"__typename":"QueueFilter"}}`, "q.__typename", "unknown field"},
		"a field twice":               {`{"q":{"name":"a","name":"b"}}`, "q.name", "is there more than once"},
		"a variable twice":            {`{"s":"a","s":"b"}`, "s", "is there more than once"},
		"a text for an object":        {`{"q":"x"}`, "q", "is no QueueFilter"},
		"others":                      {`{"other":[{},{"a":1,"a":2}],"n":2}`, "", ""},
		"half of a pair":              {`{"s":"\ud800"}`, "variables.s", half},
		"the other half":              {`{"q":{"name":"a\uDFFFb"}}`, "variables.q.name", half},
		"half in what is not used":    {`{"other":"\ud83dx"}`, "variables.other", half},
		"a pair":                      {`{"s":"\ud83d\ude00"}`, "", ""},
	} {
		for transport, send := range transportsOfRequests {
			t.Run(name+" by "+transport, func(t *testing.T) {
				w.T = t
				w.Sim.ResetCounts()
				got := send(w, tt.variables)
				argument, says, _ := strings.Cut(got, " | ")
				if argument != tt.argument || !strings.HasSuffix(says, tt.says) || (got == "") != (tt.says == "") {
					t.Errorf("%s is answered with %q, want %q", tt.variables, got, tt.argument+" | "+tt.says)
				}
				if tt.says != "" {
					w.CheckNoCalls()
				}
			})
		}
	}
}

// TestInvalidUTF8 verifies that it is refused everywhere.
func TestInvalidUTF8(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for name, text := range map[string]string{"GBK": "\xc4\xe3\xba\xc3", "Latin-1": "M\xfcller", "half of a character": "\xe4\xbd", "a raw surrogate": "\xed\xa0\x80"} {
		for transport, send := range transportsOfRequests {
			t.Run(name+" by "+transport, func(t *testing.T) {
				w.T = t
				w.Sim.ResetCounts()
				got := send(w, `{"s":"`+text+`"}`)
				want := "is not encoded in UTF-8"
				if transport == "WebSocket" {
					want = "closed with 1007"
				}
				if !strings.HasSuffix(got, want) {
					t.Errorf("answered %q, want %q", got, want)
				}
				w.CheckNoCalls()
			})
		}
	}
	w.T = t
	for name, header := range map[string]map[string]string{
		"gbk":             {"Content-Type": "application/json; charset=gbk"},
		"another charset": {"Content-Type": `application/json; charset="iso-8859-1"`},
		"UTF-16":          {"Content-Type": "application/json;charset=UTF-16LE"},
		"a form in gbk":   {"Content-Type": "multipart/form-data; boundary=b; charset=GBK"},
	} {
		w.Sim.ResetCounts()
		resp, body := w.Send("POST", "/graphql", `{"query":"{ viewer { id } }"}`, header)
		if a := e2e.Decode[e2e.Answer](t, body); resp.StatusCode != http.StatusUnsupportedMediaType || len(a.Errors) != 1 || a.Errors[0].Extensions.Argument != "Content-Type" {
			t.Errorf("%s: %s: %s", name, resp.Status, body)
		}
		w.CheckNoCalls()
	}
	for _, charset := range []string{"utf-8", "UTF8", `"utf-8"`, "us-ascii"} {
		if resp, body := w.Send("POST", "/graphql", "\uFEFF"+`{"query":"{ __typename }"}`, map[string]string{"Content-Type": "application/json; charset=" + charset}); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s: %s", charset, resp.Status, body)
		}
	}
}

// TestFormPartsAreUTF8 checks the bytes and the charset of operations and map.
func TestFormPartsAreUTF8(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	const operations = `{"query":"mutation($file: Upload!) { uploadPackage(input: {file: $file}) { packageId } }","variables":{"file":null}}`
	for name, tt := range map[string]struct {
		contentType, operations, files string
		status                         int
		argument                       string
	}{
		"a charset":         {"application/json; charset=gbk", operations, `{"0":["variables.file"]}`, http.StatusUnsupportedMediaType, "Content-Type"},
		"bytes":             {"application/json", strings.Replace(operations, "null", "\"\xc4\xe3\"", 1), `{"0":["variables.file"]}`, http.StatusBadRequest, "operations"},
		"bytes in the map":  {"application/json", operations, "{\"\xc4\xe3\":[\"variables.file\"]}", http.StatusBadRequest, "map"},
		"half of a pair":    {"application/json", strings.Replace(operations, "null", `"\ud800"`, 1), `{"0":["variables.file"]}`, http.StatusBadRequest, "variables.file"},
		"behind":            {"application/json", operations + "{}", `{"0":["variables.file"]}`, http.StatusBadRequest, "operations"},
		"a map with marks":  {"application/json", "\uFEFF" + operations, "\uFEFF" + `{"0":["query"]}`, http.StatusBadRequest, "map"},
		"variables a list":  {"application/json", strings.Replace(operations, `{"file":null}`, `[]`, 1), `{"0":["variables.file"]}`, http.StatusBadRequest, "variables"},
		"a file name twice": {"application/json", operations, `{"0":["variables.file"],"0":["variables.file"]}`, http.StatusBadRequest, "map"},
	} {
		t.Run(name, func(t *testing.T) {
			w.Sim.ResetCounts()
			var body strings.Builder
			form := multipart.NewWriter(&body)
			for _, p := range [][2]string{{"operations", tt.operations}, {"map", tt.files}} {
				part, err := form.CreatePart(textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf("form-data; name=%q", p[0])}, "Content-Type": {tt.contentType}})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := part.Write([]byte(p[1])); err != nil {
					t.Fatal(err)
				}
			}
			if err := form.WriteField("0", "a package"); err != nil {
				t.Fatal(err)
			}
			if err := form.Close(); err != nil {
				t.Fatal(err)
			}
			resp, answered := w.Send("POST", "/graphql", body.String(), map[string]string{"Content-Type": form.FormDataContentType()})
			if a := e2e.Decode[e2e.Answer](t, answered); resp.StatusCode != tt.status || len(a.Errors) != 1 || a.Errors[0].Extensions.Argument != tt.argument {
				t.Errorf("%s: %s", resp.Status, answered)
			}
			w.CheckNoCalls()
		})
	}
}

// TestByteOrderMarks verifies that one byte order mark is skipped.
func TestByteOrderMarks(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	s := w.Connect(nil)
	for _, text := range []string{`{"type":"connection_init"}`, `{"id":"1","type":"subscribe","payload":{"query":"{ __typename }"}}`} {
		if err := s.Conn.Write(t.Context(), websocket.MessageText, []byte("\uFEFF"+text)); err != nil {
			t.Fatal(err)
		}
	}
	if m := s.Receive(); m.Type != "connection_ack" {
		t.Fatalf("answered %+v", m)
	}
	if a := s.Next("1"); string(a.Data) != `{"__typename":"Query"}` {
		t.Errorf("answered %s", a.Body)
	}
}
