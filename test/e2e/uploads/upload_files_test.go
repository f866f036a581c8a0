package uploads

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

const (
	twoFiles = `mutation($f: Upload!, $g: Upload!) { a: uploadPackage(input: {file: $f}) { packageId } b: uploadPackage(input: {file: $g}) { packageId } }`
	fileMap  = `{"0":["variables.f"],"1":["variables.g"]}`
)

// sendFiles sends a query with files of the given names, whose content is the name.
func sendFiles(w *e2e.World, query, mapping string, names ...string) e2e.Answer {
	w.T.Helper()
	parts := []string{
		e2e.FormPart(`Content-Disposition: form-data; name="operations"`, string(e2e.Encode(w.T, map[string]any{"query": query, "variables": map[string]any{"in": map[string]any{}}}))),
		e2e.FormPart(`Content-Disposition: form-data; name="map"`, mapping),
	}
	for _, name := range names {
		parts = append(parts, e2e.FormPart(fmt.Sprintf(`Content-Disposition: form-data; name=%q; filename="a"`, name), name))
	}
	a, err := w.Post200(strings.NewReader(e2e.JoinForm("", "\r\n", parts...)), "multipart/form-data; boundary=B")
	if err != nil {
		w.T.Fatal(err)
	}
	return a
}

// uploaded returns the names of the files that arrived.
func uploaded(w *e2e.World) (names []string) {
	byHash := make(map[string]string)
	for _, name := range []string{"0", "1", "2"} {
		hash := sha256.Sum256([]byte(name))
		byHash[hex.EncodeToString(hash[:])] = name
	}
	for _, u := range w.Sim.Data().Uploads() {
		names = append(names, byHash[u.SHA256])
	}
	return names
}

// TestFilesOfSeveralFields verifies that each field gets its file. A file of a skipped field
// does not keep a later one from being read.
func TestFilesOfSeveralFields(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		query, mapping string
		files          []string
		arrive         []string
		errors         int
	}{
		"in the order of their use":  {twoFiles, fileMap, []string{"0", "1"}, []string{"0", "1"}, 0},
		"a field twice":              {`mutation($f: Upload!) { uploadPackage(input: {file: $f}) { packageId } uploadPackage(input: {file: $f}) { packageName } }`, `{"0":["variables.f"]}`, []string{"0"}, []string{"0"}, 0},
		"the first is skipped":       {strings.Replace(twoFiles, "$f})", "$f}) @skip(if: true)", 1), fileMap, []string{"0", "1"}, []string{"1"}, 0},
		"the last is skipped":        {strings.Replace(twoFiles, "$g})", "$g}) @skip(if: true)", 1), fileMap, []string{"1", "0"}, []string{"0"}, 0},
		"a file twice":               {twoFiles, fileMap, []string{"0", "0", "1"}, []string{"0", "1"}, 0},
		"the last one did not come":  {twoFiles, fileMap, []string{"0"}, []string{"0"}, 1},
		"others do not come between": {twoFiles, fileMap, []string{"2", "0", "2", "1"}, []string{"0", "1"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := e2e.NewWorld(t, consolesim.Options{})
			a := sendFiles(w, tt.query, tt.mapping, tt.files...)
			if len(a.Errors) != tt.errors {
				t.Errorf("answered %s", a.Body)
			}
			if diff := cmp.Diff(tt.arrive, uploaded(w)); diff != "" {
				t.Errorf("- expected + arrived:\n%s\n%s", diff, a.Body)
			}
		})
	}
}

// TestFilesInAnotherOrder verifies that all fields report the same file, and none is executed.
func TestFilesInAnotherOrder(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	a := sendFiles(w, twoFiles, fileMap, "1", "0")
	if len(a.Errors) != 2 {
		t.Fatalf("answered %s", a.Body)
	}
	for _, e := range a.Errors {
		if e.Extensions.Code != "BAD_USER_INPUT" || e.Extensions.Outcome != "NOT_SENT" || !strings.HasSuffix(e.Message, `file "0" has to come before file "1", in the order of their use`) {
			t.Errorf("got %+v", e)
		}
	}
	w.CheckNoCalls()
}

// TestAFileOfTwoFields verifies that an operation is refused before any call if two fields use
// a file, which is read once.
func TestAFileOfTwoFields(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ query, mapping string }{
		"a variable":    {`mutation($f: Upload!) { a: uploadPackage(input: {file: $f}) { packageId } b: uploadPackage(input: {file: $f}) { packageId } }`, `{"0":["variables.f"]}`},
		"an object":     {`mutation($in: UploadPackageInput!) { a: uploadPackage(input: $in) { packageId } b: uploadPackage(input: $in) { packageId } }`, `{"0":["variables.in.file"]}`},
		"in a fragment": {`mutation($f: Upload!) { a: uploadPackage(input: {file: $f}) { packageId } ...F } fragment F on Mutation { ... { b: uploadPackage(input: {file: $f}) { packageId } } }`, `{"0":["variables.f"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			w := e2e.NewWorld(t, consolesim.Options{})
			a := sendFiles(w, tt.query, tt.mapping, "0")
			if e := w.OnlyError(a); a.Status != http.StatusUnprocessableEntity || e.Extensions.Code != "BAD_USER_INPUT" || e.Extensions.Argument != "map" || e.Extensions.Outcome != "NOT_SENT" || !strings.Contains(e.Message, `file "0" is used by a and b`) {
				t.Errorf("status %d, %s", a.Status, a.Body)
			}
			w.CheckNoCalls()
		})
	}
}
