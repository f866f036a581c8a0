package consoleclient

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/fault"
)

// TestProblemIsError: an error in the form of RFC 9457 is no success, whatever the status.
func TestProblemIsError(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 201, 202} {
		for _, body := range []string{
			`{"type":"about:blank","title":"Forbidden","status":403}`, `{"title":"Error","id":"` + guid + `"}`, `{"errors":{"Name":["is taken"]}}`,
		} {
			client := newTestClient(t, serve(t, statusAnswer(status, "Application/Problem+JSON; charset=utf-8", body)), nil)
			for operation, call := range calls() {
				var e *Error
				if err := call(t.Context(), client); !errors.As(err, &e) || e.Code != fault.UpstreamInvalidResponse || e.FaultOutcome() != fault.Unknown {
					t.Errorf("%d %s, %s: got %v", status, body, operation, err)
				}
			}
		}
	}
}

// TestDeclaredCharset: JSON in another charset is not the console's word unless its bytes are UTF-8, too.
func TestDeclaredCharset(t *testing.T) {
	t.Parallel()
	const gbk, latin1, wide = "\xb6\xd3\xc1\xd0", "Pr\xfcfung", "队列"
	for _, c := range []struct {
		contentType, name string
		legible           bool
	}{
		{"application/json; charset=gbk", gbk, false},
		{"application/json;charset=GB2312", gbk, false},
		{`application/json; charset="iso-8859-1"`, latin1, false},
		{"application/json; odata=verbose; Charset=windows-1252", latin1, false},
		{"text/plain; charset=gb18030", gbk, false},
		{"application/json; charset=gbk", "queue", true},
		{"application/json; charset=iso-8859-1", wide, true},
		{"application/json; charset=utf-8", wide, true},
		{"application/json; charset=UTF8", wide, true},
		{"application/json; charset=", wide, true},
		{"application/json; charset", wide, true},
		{"application/json; charset=utf-8", latin1, true}, // one wrong byte does not lose the answer
		{"application/json", latin1, true},
	} {
		t.Run(fmt.Sprintf("%s %q", c.contentType, c.name), func(t *testing.T) {
			t.Parallel()
			entity := `{"id":"` + guid + `","name":"` + c.name + `"}`
			list := `{"count":1,"list":[` + entity + `]}`
			for operation, call := range calls() {
				body := entity
				if operation == "list" {
					body = list
				}
				err := call(t.Context(), newTestClient(t, serve(t, statusAnswer(200, c.contentType, body)), nil))
				if c.legible && err != nil || !c.legible && fault.CodeOf(err) != fault.UpstreamInvalidResponse {
					t.Errorf("%s: got %v", operation, err)
				}
			}
			for status, want := range map[int]fault.Code{400: fault.BadUserInput, 401: fault.Unauthenticated, 403: fault.Forbidden, 404: fault.NotFound} {
				problem := `{"title":"` + c.name + `"}`
				_, err := newTestClient(t, serve(t, statusAnswer(status, c.contentType, problem)), nil).Queue(t.Context(), testScope, guid)
				if !c.legible {
					want = fault.UpstreamInvalidResponse
				}
				if fault.CodeOf(err) != want || !c.legible && strings.ContainsRune(err.Error(), '\ufffd') {
					t.Errorf("status %d: got %v", status, err)
				}
			}
		})
	}
}
