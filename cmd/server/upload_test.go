package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
)

const uploadQuery = `mutation($file: Upload!) { uploadPackage(input: {file: $file}) { packageId packageVersionId packageName lastVersion package { id name } version { id version } } }`

// form writes a GraphQL multipart request with one file.
func form(to io.Writer, query string, file io.Reader) (contentType string, send func() error) {
	w := multipart.NewWriter(to)
	return w.FormDataContentType(), func() error {
		operations, err := json.Marshal(map[string]any{"query": query, "variables": map[string]any{"file": nil}})
		if err != nil {
			return err
		}
		for _, part := range [][2]string{{"operations", string(operations)}, {"map", `{"0":["variables.file"]}`}} {
			if err := w.WriteField(part[0], part[1]); err != nil {
				return err
			}
		}
		p, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="0"; filename="a.dgs"`}})
		if err != nil {
			return err
		}
		if _, err := io.Copy(p, file); err != nil {
			return err
		}
		return w.Close()
	}
}

// uploadStream sends a file of unknown length, as it is read.
func (w *world) uploadStream(file io.Reader) (answer, error) {
	return w.uploadChunked(uploadQuery, file)
}

// sized is uploadQuery with input.size.
func sized(size string) string {
	return strings.Replace(uploadQuery, "file: $file", "file: $file, size: "+size, 1)
}

// uploadChunked sends a query and a file in chunks, as it is read.
func (w *world) uploadChunked(query string, file io.Reader) (answer, error) {
	r, pipe := io.Pipe()
	contentType, send := form(pipe, query, file)
	go func() { _ = pipe.CloseWithError(send()) }()
	return w.post200(r, contentType)
}

func (w *world) post200(body io.Reader, contentType string) (answer, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, w.url+"/graphql", body)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", contentType)
	return w.do(req)
}

func (w *world) do(req *http.Request) (answer, error) {
	resp, err := w.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	a := answer{Status: resp.StatusCode}
	if a.Body, err = io.ReadAll(resp.Body); err != nil {
		return a, err
	}
	return a, json.Unmarshal(a.Body, &a)
}

// noise is n bytes that no compression makes less of, and their hash.
func noise(n int64) (file io.Reader, sum func() string) {
	h := sha256.New()
	return io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{}), n), h), func() string { return hex.EncodeToString(h.Sum(nil)) }
}

// lastUpload is what the console's storage or upload operation has received last.
func (w *world) lastUpload() consolesim.Upload {
	w.t.Helper()
	all := w.sim.Data().Uploads()
	if len(all) == 0 {
		w.t.Fatal("nothing was uploaded")
	}
	return all[len(all)-1]
}

func TestUploadStraightToTheConsole(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	var body bytes.Buffer
	file, sum := noise(3 << 20)
	contentType, send := form(&body, uploadQuery, file)
	if err := send(); err != nil {
		t.Fatal(err)
	}
	a, err := w.post200(&body, contentType)
	if err != nil || len(a.Errors) > 0 {
		t.Fatalf("%v: %s", err, a.Body)
	}
	w.checkUploaded(a, sum(), 3<<20)
	if n := w.calls()["PUT /openapi/packages"]; n != 1 || w.calls()["PUT storage"] != 0 {
		t.Errorf("calls %v", w.calls())
	}
	w.noCallTwice()
}

func (w *world) checkUploaded(a answer, sum string, size int64) {
	w.t.Helper()
	var got struct {
		UploadPackage struct {
			PackageID, PackageVersionID string
			Package, Version            struct{ ID string }
		}
	}
	if err := json.Unmarshal(a.Data, &got); err != nil {
		w.t.Fatal(err)
	}
	if u := got.UploadPackage; u.PackageID == "" || u.Package.ID != u.PackageID || u.Version.ID != u.PackageVersionID {
		w.t.Errorf("answered %s", a.Body)
	}
	if u := w.lastUpload(); u.SHA256 != sum || u.Size != size {
		w.t.Errorf("the console has %d bytes with hash %s, want %d with %s", u.Size, u.SHA256, size, sum)
	}
}

// withLength sends a form of known length, as tail changes it.
func (w *world) withLength(file io.Reader, tail func(form []byte) []byte) (answer, error) {
	w.t.Helper()
	var body bytes.Buffer
	contentType, send := form(&body, uploadQuery, file)
	if err := send(); err != nil {
		w.t.Fatal(err)
	}
	return w.post200(bytes.NewReader(tail(body.Bytes())), contentType)
}

// TestStorageIsToldTheLength: object storages refuse a file of which they are
// not told the length beforehand, which follows from that of the request.
func TestStorageIsToldTheLength(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, func(s *settings, _ *consolesim.Server) { s.DirectUploadBytes = 1 << 20 })
	defer w.sim.Fail(func(r *http.Request) bool {
		return strings.HasPrefix(r.URL.Path, "/uploads/") && r.ContentLength < 0
	}, consolesim.Fault{Status: http.StatusLengthRequired})()
	same := func(form []byte) []byte { return form }
	for _, size := range []int64{1<<20 + 1, 3 << 20, 5_000_001} {
		file, sum := noise(size)
		a, err := w.withLength(file, same)
		if err != nil || len(a.Errors) > 0 {
			t.Fatalf("%v: %s", err, a.Body)
		}
		w.checkUploaded(a, sum(), size)
	}
	w.sim.ResetCounts()
	file, _ := noise(3 << 20)
	if a, err := w.uploadStream(file); err != nil || len(a.Errors) != 1 || a.Errors[0].Extensions.Argument != "input.size" || a.Errors[0].Extensions.Outcome != "NOT_SENT" {
		t.Errorf("a length that nobody knows: %v, %s", err, a.Body)
	}
	w.noCalls()
	for name, tail := range map[string]func([]byte) []byte{
		"no last line break": func(form []byte) []byte { return bytes.TrimSuffix(form, []byte("\r\n")) },
		"an epilogue":        func(form []byte) []byte { return append(bytes.Clone(form), "more"...) },
	} {
		file, _ := noise(3 << 20)
		a, err := w.withLength(file, tail)
		if err != nil || len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "BAD_USER_INPUT" || a.Errors[0].Extensions.Argument != "input.file" {
			t.Errorf("%s: %v, %s", name, err, a.Body)
		}
	}
	if n := w.calls()["PATCH /openapi/preloadedVersionFiles/{id}"]; n != 0 {
		t.Errorf("%d uploads of another length were completed", n)
	}
}

// TestRequestsThatAreTooLong are refused with the limit in the error, and before
// the console is asked where they say how long they are.
func TestRequestsThatAreTooLong(t *testing.T) {
	w := newWorld(t, consolesim.Options{}, func(s *settings, _ *consolesim.Server) { s.MaxUploadBytes, s.MaxRequestBytes = 100_000, 10_000 })
	file, _ := noise(300_000)
	a, err := w.withLength(file, func(form []byte) []byte { return form })
	if err != nil || a.Status != http.StatusRequestEntityTooLarge || w.onlyError(a).Extensions.Code != "BAD_USER_INPUT" || !strings.Contains(a.Errors[0].Message, "100000") {
		t.Errorf("%v: status %d, %s", err, a.Status, a.Body)
	}
	a = w.ask("{ __typename } #"+strings.Repeat("x", 20_000), request{})
	if a.Status != http.StatusRequestEntityTooLarge || w.onlyError(a).Extensions.Code != "BAD_USER_INPUT" || !strings.Contains(a.Errors[0].Message, "10000") {
		t.Errorf("status %d, %s", a.Status, a.Body)
	}
	w.noCalls()
	file, _ = noise(300_000)
	a, err = w.uploadStream(file)
	if err == nil && (len(a.Errors) != 1 || !strings.Contains(a.Errors[0].Message, "100000")) {
		t.Errorf("%s", a.Body)
	}
	if n := w.calls()["PATCH /openapi/preloadedVersionFiles/{id}"]; n != 0 {
		t.Errorf("%d uploads were completed", n)
	}
}

func TestUploadThatBreaksOff(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	file, _ := noise(1 << 20)
	broken := io.MultiReader(file, &failingReader{})
	if a, err := w.uploadStream(broken); err == nil && len(a.Errors) == 0 {
		t.Errorf("answered %s", a.Body)
	}
	time.Sleep(100 * time.Millisecond) // the gateway may still be noticing
	if c := w.calls(); c["PATCH /openapi/preloadedVersionFiles/{id}"] != 0 {
		t.Errorf("a broken upload was completed: %v", c)
	}
}

type failingReader struct{}

func (*failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestPreparedUpload(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
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
	w.query(`mutation { createPackageUpload { upload { id createdAt companyId departmentId channel { uri headers } } } }`, &prepared)
	u := prepared.CreatePackageUpload.Upload
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, u.Channel.URI, strings.NewReader(`{"name":"Mine","version":"1.0.0"}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range u.Channel.Headers {
		req.Header.Set(name, value)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode/100 != 2 {
		t.Fatalf("the storage answered %s, %v", resp.Status, err)
	}
	for range 2 { // the second is the first's answer
		var done struct {
			PackageName, PackageID string
			Package                struct{ Name string }
		}
		w.mutate("completePackageUpload", map[string]any{"id": u.ID, "idempotencyKey": "k"}, "packageId packageName lastVersion package { name }", &done)
		if done.PackageName != "Mine" || done.Package.Name != "Mine" {
			t.Errorf("got %+v", done)
		}
	}
	if n := w.calls()["PATCH /openapi/preloadedVersionFiles/{id}"]; n != 1 {
		t.Errorf("completed %d times", n)
	}
}

func TestMultipartFormsThatAreWrong(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
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
			w.sim.ResetCounts()
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
			a, err := w.post200(&body, form.FormDataContentType())
			if err != nil || len(a.Errors) == 0 || a.Errors[0].Extensions.Code != "BAD_USER_INPUT" {
				t.Errorf("%v: answered %s", err, a.Body)
			}
			if n := len(w.sim.Requests()); n != 0 {
				t.Errorf("%d console calls: %v", n, w.calls())
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
		a, err := w.post200(&body, form.FormDataContentType())
		if err != nil {
			t.Fatal(err)
		}
		if e := w.onlyError(a); e.fieldPath() != "uploadPackage" || e.Extensions.Argument != "input.file" || !strings.Contains(e.Message, "did not come") {
			t.Errorf("told %+v", e)
		}
	})
	t.Run("no form at all", func(t *testing.T) {
		a := w.ask(fmt.Sprintf("mutation { uploadPackage(input: {file: %q}) { packageId } }", "x"), request{})
		if len(a.Errors) == 0 || a.Errors[0].Extensions.Code != "BAD_USER_INPUT" {
			t.Errorf("answered %s", a.Body)
		}
	})
}

// TestUploadOverAConnectionThatBreaksOff is the client's fault, and told as that, although a connection
// that breaks off also cancels the request.
func TestUploadOverAConnectionThatBreaksOff(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	var body bytes.Buffer
	file, _ := noise(100_000)
	contentType, send := form(&body, uploadQuery, file)
	if err := send(); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
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
	if a := decode[answer](t, answered); len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "BAD_USER_INPUT" || a.Errors[0].Extensions.Argument != "input.file" {
		t.Errorf("answered %s", answered)
	}
}
