package requests

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestManyBadArguments verifies that a query reports its first invalid argument, and a
// mutation at most a hundred.
func TestManyBadArguments(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	aliased := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for name, tt := range map[string]struct {
		query string
		n     int
		last  string
	}{
		"a query":        {"{" + aliased(250, ` a%d: queue(id: "q") { id }`) + "}", 1, "(at a0; nothing was asked)"},
		"a few":          {"mutation {" + aliased(3, ` a%d: deleteQueue(input: {id: "q"}) { deletedId }`) + "}", 3, "(at a2; nothing was asked)"},
		"mutations":      {"mutation {" + aliased(130, ` a%d: deleteQueue(input: {id: "q"}) { deletedId }`) + "}", 101, "30 more errors are not listed"},
		"100 mutations":  {"mutation {" + aliased(100, ` a%d: deleteQueue(input: {id: "q"}) { deletedId }`) + "}", 100, "(at a99; nothing was asked)"},
		"below payloads": {"mutation {" + aliased(102, ` a%d: signOut { ok }`) + aliased(101, ` b%d: deleteQueue(input: {id: "q"}) { deletedId }`) + "}", 101, "1 more errors are not listed"},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.Ask(tt.query, e2e.Request{})
			if len(a.Errors) != tt.n || a.Data != nil {
				t.Fatalf("%d errors: %.300s", len(a.Errors), a.Body)
			}
			if last := a.Errors[tt.n-1]; !strings.HasSuffix(last.Message, tt.last) || last.Extensions.Code != "BAD_USER_INPUT" {
				t.Errorf("the last error is %+v", last)
			}
		})
	}
}

// TestRequestErrorsOverWebSocket verifies that the error of an operation that was not
// executed has no data.
func TestRequestErrorsOverWebSocket(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	s := w.Socket(nil)
	for name, query := range map[string]string{
		"a query": `{ queues(first: 501) { totalCount } }`, "a mutation": `mutation { deleteQueue(input: {id: "q"}) { deletedId } }`,
		"a directive": `query($i: Boolean = true) { queues @include(if: $i) { totalCount } }`, "a subscription": `subscription { robotChanged(ids: ["q"]) { id } }`,
	} {
		t.Run(name, func(t *testing.T) {
			s.Send(e2e.Message{ID: "1", Type: "subscribe", Payload: e2e.Encode(t, map[string]any{"query": query, "variables": map[string]any{"i": nil}})})
			a := s.Next("1")
			if e := w.OnlyError(a); e.Extensions.Code != "BAD_USER_INPUT" || strings.Contains(string(a.Body), `"data"`) {
				t.Errorf("%s", a.Body)
			}
			s.Completed("1")
		})
	}
}

// TestUnmappedFile verifies that the error contains the path.
func TestUnmappedFile(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for _, path := range []string{"variables.other", "variables.file.x", `variables.a: "b", found c`} {
		form := e2e.JoinForm("", "\r\n",
			e2e.FormPart(`Content-Disposition: form-data; name="operations"`, string(e2e.Encode(t, map[string]any{"query": e2e.UploadQuery}))),
			e2e.FormPart(`Content-Disposition: form-data; name="map"`, fmt.Sprintf(`{"0":[%q]}`, path)),
			e2e.FormPart(`Content-Disposition: form-data; name="0"; filename="a"`, "file"))
		a, err := w.Post200(strings.NewReader(form), "multipart/form-data; boundary=B")
		if err != nil {
			t.Fatal(err)
		}
		if e := w.OnlyError(a); a.Status != http.StatusUnprocessableEntity || e.Message != fmt.Sprintf("map: %q is no variable of type Upload", path) {
			t.Errorf("%s", a.Body)
		}
	}
}
