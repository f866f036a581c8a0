package uploads

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestClientForms verifies framing that clients may choose. Content before the
// first delimiter and after the last is ignored (RFC 2046, section 5.1.1), and so are parts
// that the map does not name.
func TestClientForms(t *testing.T) {
	t.Parallel()
	const disposition = "Content-Disposition: form-data; "
	operations := e2e.FormPart(disposition+`name="operations"`, string(e2e.Encode(t, map[string]any{"query": e2e.UploadQuery, "variables": map[string]any{"file": nil}})))
	mapping := e2e.FormPart(disposition+`name="map"`, `{"0":["variables.file"]}`)
	field := e2e.FormPart(disposition+`name="comment"`, "what this is")
	type world = func(*gateway.Settings, *consolesim.Server)
	for route, adjust := range map[string]world{
		"to the console": func(*gateway.Settings, *consolesim.Server) {},
		"to the storage": func(s *gateway.Settings, _ *consolesim.Server) { s.DirectUploadBytes = 1 },
	} {
		w := e2e.NewWorld(t, consolesim.Options{}, adjust)
		for _, size := range []int64{1, 70_000, 3 << 20} {
			stream, _ := e2e.RandomFile(size)
			raw, err := io.ReadAll(stream)
			if err != nil {
				t.Fatal(err)
			}
			content := string(raw)
			file := e2e.FormPart(disposition+`name="0"; filename="a.dgs"`, content)
			for name, tt := range map[string]struct {
				contentType, form string
				atEnd             bool // the storage gets the length that the request implies
			}{
				"as browsers do":             {"multipart/form-data; boundary=B", e2e.JoinForm("", "\r\n", operations, mapping, file), true},
				"no last line break":         {"multipart/form-data; boundary=B", e2e.JoinForm("", "", operations, mapping, file), false},
				"a field after the file":     {"multipart/form-data; boundary=B", e2e.JoinForm("", "\r\n", operations, mapping, file, field), false},
				"fields, and no line break":  {"multipart/form-data; boundary=B", e2e.JoinForm("", "", operations, mapping, file, field, field), false},
				"a field before the file":    {"multipart/form-data; boundary=B", e2e.JoinForm("", "\r\n", operations, mapping, field, file), true},
				"fields before all parts":    {"multipart/form-data; boundary=B", e2e.JoinForm("", "\r\n", field, operations, field, "\r\nno name", mapping, file), true},
				"binary content":             {"multipart/form-data; boundary=B", e2e.JoinForm("", "\r\n", operations, mapping, "Content-Transfer-Encoding: Binary\r\n"+file), true},
				"an epilogue":                {"multipart/form-data; boundary=B", e2e.JoinForm("", "\r\nmore\r\n--B\r\nstill more", operations, mapping, file), false},
				"line breaks at the end":     {"multipart/form-data; boundary=B", e2e.JoinForm("", "\r\n\r\n", operations, mapping, file), false},
				"a preamble":                 {"multipart/form-data; boundary=B", "This is a form.\r\n" + e2e.JoinForm("", "\r\n", operations, mapping, file), true},
				"padding after boundaries":   {"multipart/form-data; boundary=B", e2e.JoinForm(" \t ", " \t\r\n", operations, mapping, file), false},
				"a quoted boundary":          {`Multipart/Form-Data; charset=utf-8; BOUNDARY="B"`, e2e.JoinForm("", "\r\n", operations, mapping, file), true},
				"headers in another case":    {"multipart/form-data; boundary=B", strings.ReplaceAll(e2e.JoinForm("", "\r\n", operations, mapping, file), disposition, "CONTENT-disposition:form-data; "), true},
				"a type for the operations":  {"multipart/form-data; boundary=B", e2e.JoinForm("", "\r\n", "Content-Type: application/json; charset=utf-8\r\n"+operations, mapping, file), true},
				"a length of the part's own": {"multipart/form-data; boundary=B", e2e.JoinForm("", "", operations, mapping, fmt.Sprintf("Content-Length: %d\r\n%s", size, file), field), true},
			} {
				for _, length := range []bool{true, false} {
					if route == "to the storage" && size > 2<<20 && (!tt.atEnd || !length) {
						continue // the length of a large file is unknown before its end
					}
					var body io.Reader = strings.NewReader(tt.form)
					if !length {
						body = io.MultiReader(body)
					}
					a, err := w.Post200(body, tt.contentType)
					if !length && size > 2<<20 && !strings.Contains(tt.form, "Content-Length:") {
						if len(a.Errors) != 1 || a.Errors[0].Extensions.Argument != "input.size" {
							t.Errorf("%s, %s, %d bytes of unknown length: %v, %s", route, name, size, err, a.Body)
						}
						continue
					}
					if err != nil || len(a.Errors) > 0 {
						t.Errorf("%s, %s, %d bytes, length %v: %v, %s", route, name, size, length, err, a.Body)
						continue
					}
					hash := sha256.Sum256(raw)
					if got := lastUpload(w); got.Size != size || got.SHA256 != hex.EncodeToString(hash[:]) {
						t.Errorf("%s, %s, %d bytes, length %v: %d bytes arrived", route, name, size, length, got.Size)
					}
				}
			}
		}
	}
}

// TestEncodedParts verifies that base64 is refused, since its text would be stored as the
// content.
func TestEncodedParts(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	const encoded = "Content-Transfer-Encoding: base64\r\n"
	parts := [3]string{
		e2e.FormPart(`Content-Disposition: form-data; name="operations"`, string(e2e.Encode(t, map[string]any{"query": e2e.UploadQuery, "variables": map[string]any{"file": nil}}))),
		e2e.FormPart(`Content-Disposition: form-data; name="map"`, `{"0":["variables.file"]}`),
		e2e.FormPart(`Content-Disposition: form-data; name="0"; filename="a"`, "four"),
	}
	for i, argument := range []string{"operations", "map", "input.file"} {
		form := parts
		form[i] = encoded + form[i]
		a, err := w.Post200(strings.NewReader(e2e.JoinForm("", "\r\n", form[:]...)), "multipart/form-data; boundary=B")
		if err != nil || len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "BAD_USER_INPUT" || a.Errors[0].Extensions.Argument != argument || !strings.Contains(a.Errors[0].Message, `"base64"`) {
			t.Errorf("%s: %v, %s", argument, err, a.Body)
		}
	}
	if n := len(w.Sim.Data().Uploads()); n != 0 {
		t.Errorf("%d files arrived", n)
	}
}

// TestFormsWithWrongLengths verifies that a part of another length than declared is refused.
func TestFormsWithWrongLengths(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for _, says := range []string{"3", "5", "0"} {
		form := e2e.JoinForm("", "\r\n",
			e2e.FormPart(`Content-Disposition: form-data; name="operations"`, string(e2e.Encode(t, map[string]any{"query": e2e.UploadQuery, "variables": map[string]any{"file": nil}}))),
			e2e.FormPart(`Content-Disposition: form-data; name="map"`, `{"0":["variables.file"]}`),
			e2e.FormPart("Content-Length: "+says+"\r\n"+`Content-Disposition: form-data; name="0"; filename="a"`, "four"))
		a, err := w.Post200(strings.NewReader(form), "multipart/form-data; boundary=B")
		if err != nil || len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "BAD_USER_INPUT" {
			t.Errorf("%s: %v, %s", says, err, a.Body)
		}
	}
	if n := len(w.Sim.Data().Uploads()); n != 0 {
		t.Errorf("%d files arrived", n)
	}
}

// TestPlaceholdersOfFiles verifies that the file replaces any placeholder at its path.
func TestPlaceholdersOfFiles(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	const nested = `mutation($input: UploadPackageInput!) { uploadPackage(input: $input) { packageId } }`
	for name, tt := range map[string]struct{ query, variables, path string }{
		"null":               {e2e.UploadQuery, `{"file":null}`, "variables.file"},
		"absent":             {e2e.UploadQuery, `{}`, "variables.file"},
		"no variables":       {e2e.UploadQuery, ``, "variables.file"},
		"variables are null": {e2e.UploadQuery, `null`, "variables.file"},
		"a text":             {e2e.UploadQuery, `{"file":"a.dgs"}`, "variables.file"},
		"an empty text":      {e2e.UploadQuery, `{"file":""}`, "variables.file"},
		"an empty object":    {e2e.UploadQuery, `{"file":{}}`, "variables.file"},
		"a number":           {e2e.UploadQuery, `{"file":0}`, "variables.file"},
		"nested, null":       {nested, `{"input":{"file":null}}`, "variables.input.file"},
		"nested, absent":     {nested, `{"input":{}}`, "variables.input.file"},
		"nested, a text":     {nested, `{"input":{"file":"[object File]"}}`, "variables.input.file"},
	} {
		raw := map[string]any{"query": tt.query}
		if tt.variables != "" {
			raw["variables"] = json.RawMessage(tt.variables)
		}
		form := e2e.JoinForm("", "\r\n",
			e2e.FormPart(`Content-Disposition: form-data; name="operations"`, string(e2e.Encode(t, raw))),
			e2e.FormPart(`Content-Disposition: form-data; name="map"`, fmt.Sprintf(`{"0":[%q]}`, tt.path)),
			e2e.FormPart(`Content-Disposition: form-data; name="0"; filename="a"`, name))
		a, err := w.Post200(strings.NewReader(form), "multipart/form-data; boundary=B")
		if err != nil || a.Status != http.StatusOK || len(a.Errors) > 0 {
			t.Errorf("%s: %v, %s", name, err, a.Body)
			continue
		}
		hash := sha256.Sum256([]byte(name))
		if got := lastUpload(w); got.SHA256 != hex.EncodeToString(hash[:]) {
			t.Errorf("%s: another file arrived", name)
		}
	}
}
