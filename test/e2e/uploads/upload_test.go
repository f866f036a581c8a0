package uploads

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

func TestDirectUpload(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	var body bytes.Buffer
	file, sum := e2e.RandomFile(3 << 20)
	contentType, send := e2e.Form(&body, e2e.UploadQuery, file)
	if err := send(); err != nil {
		t.Fatal(err)
	}
	a, err := w.Post200(&body, contentType)
	if err != nil || len(a.Errors) > 0 {
		t.Fatalf("%v: %s", err, a.Body)
	}
	checkUploaded(w, a, sum(), 3<<20)
	if n := w.Calls()["PUT /openapi/packages"]; n != 1 || w.Calls()["PUT storage"] != 0 {
		t.Errorf("calls %v", w.Calls())
	}
	w.CheckNoDuplicateCalls()
}

// TestStorageGetsContentLength verifies that the storage gets the file's length, which follows
// from the request's. Object storages refuse a file without one.
func TestStorageGetsContentLength(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.DirectUploadBytes = 1 << 20 })
	defer w.Sim.Fail(func(r *http.Request) bool {
		return strings.HasPrefix(r.URL.Path, "/uploads/") && r.ContentLength < 0
	}, consolesim.Fault{Status: http.StatusLengthRequired})()
	same := func(form []byte) []byte { return form }
	for _, size := range []int64{1<<20 + 1, 3 << 20, 5_000_001} {
		file, sum := e2e.RandomFile(size)
		a, err := w.UploadWithLength(file, same)
		if err != nil || len(a.Errors) > 0 {
			t.Fatalf("%v: %s", err, a.Body)
		}
		checkUploaded(w, a, sum(), size)
	}
	w.Sim.ResetCounts()
	file, _ := e2e.RandomFile(3 << 20)
	if a, err := uploadStream(w, file); err != nil || len(a.Errors) != 1 || a.Errors[0].Extensions.Argument != "input.size" || a.Errors[0].Extensions.Outcome != "NOT_SENT" {
		t.Errorf("a length that nobody knows: %v, %s", err, a.Body)
	}
	w.CheckNoCalls()
	for name, tail := range map[string]func([]byte) []byte{
		"no last line break": func(form []byte) []byte { return bytes.TrimSuffix(form, []byte("\r\n")) },
		"an epilogue":        func(form []byte) []byte { return append(bytes.Clone(form), "more"...) },
	} {
		file, _ := e2e.RandomFile(3 << 20)
		a, err := w.UploadWithLength(file, tail)
		if err != nil || len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "BAD_USER_INPUT" || a.Errors[0].Extensions.Argument != "input.file" {
			t.Errorf("%s: %v, %s", name, err, a.Body)
		}
	}
	if n := w.Calls()["PATCH /openapi/preloadedVersionFiles/{id}"]; n != 0 {
		t.Errorf("%d uploads of another length were completed", n)
	}
}

// TestOversizedRequests verifies that the error contains the limit. With a
// Content-Length, no console call is made.
func TestOversizedRequests(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.MaxUploadBytes, s.MaxRequestBytes = 100_000, 10_000 })
	file, _ := e2e.RandomFile(300_000)
	a, err := w.UploadWithLength(file, func(form []byte) []byte { return form })
	if err != nil || a.Status != http.StatusRequestEntityTooLarge || w.OnlyError(a).Extensions.Code != "BAD_USER_INPUT" || !strings.Contains(a.Errors[0].Message, "100000") {
		t.Errorf("%v: status %d, %s", err, a.Status, a.Body)
	}
	a = w.Ask("{ __typename } #"+strings.Repeat("x", 20_000), e2e.Request{})
	if a.Status != http.StatusRequestEntityTooLarge || w.OnlyError(a).Extensions.Code != "BAD_USER_INPUT" || !strings.Contains(a.Errors[0].Message, "10000") {
		t.Errorf("status %d, %s", a.Status, a.Body)
	}
	w.CheckNoCalls()
	file, _ = e2e.RandomFile(300_000)
	a, err = uploadStream(w, file)
	if err == nil && (len(a.Errors) != 1 || !strings.Contains(a.Errors[0].Message, "100000")) {
		t.Errorf("%s", a.Body)
	}
	if n := w.Calls()["PATCH /openapi/preloadedVersionFiles/{id}"]; n != 0 {
		t.Errorf("%d uploads were completed", n)
	}
}

func TestAbortedUpload(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	file, _ := e2e.RandomFile(1 << 20)
	broken := io.MultiReader(file, &failingReader{})
	if a, err := uploadStream(w, broken); err == nil && len(a.Errors) == 0 {
		t.Errorf("answered %s", a.Body)
	}
	time.Sleep(100 * time.Millisecond) // the gateway may not have noticed yet
	if c := w.Calls(); c["PATCH /openapi/preloadedVersionFiles/{id}"] != 0 {
		t.Errorf("a broken upload was completed: %v", c)
	}
}

type failingReader struct{}

func (*failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestPreparedUpload(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	var prepared struct {
		CreatePackageUpload struct {
			Upload struct {
				ID      string
				Channel struct {
					URI     string
					Headers map[string]string
				}
			}
		}
	}
	w.Query(`mutation { createPackageUpload { upload { id createdAt companyId departmentId channel { uri headers } } } }`, &prepared)
	u := prepared.CreatePackageUpload.Upload
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, u.Channel.URI, strings.NewReader(`{"name":"Mine","version":"1.0.0"}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range u.Channel.Headers {
		req.Header.Set(name, value)
	}
	resp, err := w.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode/100 != 2 {
		t.Fatalf("the storage answered %s, %v", resp.Status, err)
	}
	for range 2 { // the second gets the first one's recorded answer
		var done struct {
			PackageName, PackageID string
			Package                struct{ Name string }
		}
		w.Mutate("completePackageUpload", map[string]any{"id": u.ID, "idempotencyKey": "k"}, "packageId packageName lastVersion package { name }", &done)
		if done.PackageName != "Mine" || done.Package.Name != "Mine" {
			t.Errorf("got %+v", done)
		}
	}
	if n := w.Calls()["PATCH /openapi/preloadedVersionFiles/{id}"]; n != 1 {
		t.Errorf("completed %d times", n)
	}
}

func TestInvalidMultipartForms(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	const operations = `{"query":"mutation($file: Upload!) { uploadPackage(input: {file: $file}) { packageId } }","variables":{"file":null}}`
	for name, parts := range map[string][][2]string{
		"nothing":          {},
		"map first":        {{"map", `{"0":["variables.file"]}`}, {"operations", operations}},
		"no map":           {{"operations", operations}, {"0", "file"}},
		"empty map":        {{"operations", operations}, {"map", `{}`}},
		"junk":             {{"operations", "{"}, {"map", `{"0":["variables.file"]}`}},
		"other variable":   {{"operations", operations}, {"map", `{"0":["variables.other"]}`}},
		"no variable":      {{"operations", operations}, {"map", `{"0":["query"]}`}},
		"two places":       {{"operations", operations}, {"map", `{"0":["variables.file","variables.file"]}`}},
		"no file":          {{"operations", operations}, {"map", `{"0":["variables.file"]}`}},
		"another file":     {{"operations", operations}, {"map", `{"0":["variables.file"]}`}, {"1", "file"}},
		"file as a string": {{"operations", strings.Replace(operations, `"file":null`, `"file":"x"`, 1)}, {"map", `{"0":["variables.file"]}`}},
	} {
		t.Run(name, func(t *testing.T) {
			w.Sim.ResetCounts()
			var body bytes.Buffer
			form := multipart.NewWriter(&body)
			for _, p := range parts {
				if err := form.WriteField(p[0], p[1]); err != nil {
					t.Fatal(err)
				}
			}
			if err := form.Close(); err != nil {
				t.Fatal(err)
			}
			a, err := w.Post200(&body, form.FormDataContentType())
			if err != nil || len(a.Errors) == 0 || a.Errors[0].Extensions.Code != "BAD_USER_INPUT" {
				t.Errorf("%v: answered %s", err, a.Body)
			}
			if n := len(w.Sim.Requests()); n != 0 {
				t.Errorf("%d console calls: %v", n, w.Calls())
			}
		})
	}
	t.Run("no file after the map", func(t *testing.T) {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		for _, p := range [][2]string{{"operations", operations}, {"map", `{"0":["variables.file"]}`}} {
			if err := form.WriteField(p[0], p[1]); err != nil {
				t.Fatal(err)
			}
		}
		if err := form.Close(); err != nil {
			t.Fatal(err)
		}
		a, err := w.Post200(&body, form.FormDataContentType())
		if err != nil {
			t.Fatal(err)
		}
		if e := w.OnlyError(a); e.FieldPath() != "uploadPackage" || e.Extensions.Argument != "input.file" || !strings.Contains(e.Message, "did not come") {
			t.Errorf("got %+v", e)
		}
	})
	t.Run("no form at all", func(t *testing.T) {
		a := w.Ask(fmt.Sprintf("mutation { uploadPackage(input: {file: %q}) { packageId } }", "x"), e2e.Request{})
		if len(a.Errors) == 0 || a.Errors[0].Extensions.Code != "BAD_USER_INPUT" {
			t.Errorf("answered %s", a.Body)
		}
	})
}

// TestUploadOverAbortedConnection verifies that the error is the client's, although a
// broken connection also cancels the request.
func TestUploadOverAbortedConnection(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	var body bytes.Buffer
	file, _ := e2e.RandomFile(100_000)
	contentType, send := e2e.Form(&body, e2e.UploadQuery, file)
	if err := send(); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", contentType, body.Len(), body.Bytes()[:50_000]); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answered, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if a := e2e.Decode[e2e.Answer](t, answered); len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "BAD_USER_INPUT" || a.Errors[0].Extensions.Argument != "input.file" {
		t.Errorf("answered %s", answered)
	}
}

// uploadStream sends a file of unknown length while it is read.
func uploadStream(w *e2e.World, file io.Reader) (e2e.Answer, error) {
	return w.UploadChunked(e2e.UploadQuery, file)
}

// lastUpload returns the last upload at the console.
func lastUpload(w *e2e.World) consolesim.Upload {
	w.T.Helper()
	all := w.Sim.Data().Uploads()
	if len(all) == 0 {
		w.T.Fatal("nothing was uploaded")
	}
	return all[len(all)-1]
}

func checkUploaded(w *e2e.World, a e2e.Answer, sum string, size int64) {
	w.T.Helper()
	var got struct {
		UploadPackage struct {
			PackageID, PackageVersionID string
			Package, Version            struct{ ID string }
		}
	}
	if err := json.Unmarshal(a.Data, &got); err != nil {
		w.T.Fatal(err)
	}
	if u := got.UploadPackage; u.PackageID == "" || u.Package.ID != u.PackageID || u.Version.ID != u.PackageVersionID {
		w.T.Errorf("answered %s", a.Body)
	}
	if u := lastUpload(w); u.SHA256 != sum || u.Size != size {
		w.T.Errorf("the console has %d bytes with hash %s, want %d with %s", u.Size, u.SHA256, size, sum)
	}
}
