package uploads

import (
	"net/http"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// TestFailedUploadSteps verifies that each failure names the refusing side and the
// outcome.
func TestFailedUploadSteps(t *testing.T) {
	t.Parallel()
	page := consolesim.Fault{Body: []byte("<html></html>"), ContentType: "text/html"}
	storage := func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/uploads/") }
	create, complete := preloaded(http.MethodPost), preloaded(http.MethodPatch)
	for name, tt := range map[string]struct {
		step          func(*http.Request) bool
		fault         consolesim.Fault
		code, outcome string
		message       string
	}{
		"prepare, 500":              {create, consolesim.Fault{Status: 500}, "UPSTREAM_UNAVAILABLE", "NOT_SENT", "the console is not available, and nothing was changed: Internal Server Error"},
		"prepare, refused":          {create, consolesim.Fault{Status: 403, Detail: "No."}, "FORBIDDEN", "REFUSED", "the console forbids this, and nothing was done: No."},
		"prepare, a page":           {create, page, "UPSTREAM_INVALID_RESPONSE", "NOT_SENT", "the console's answer cannot be understood, and nothing was changed: the answer is not the console's own"},
		"prepare, nothing":          {create, consolesim.Fault{Body: []byte(`{}`)}, "UPSTREAM_INVALID_RESPONSE", "NOT_SENT", "the console's answer names no upload, and nothing was changed"},
		"prepare, an empty list":    {create, consolesim.Fault{Body: []byte(`{"count":0,"list":[]}`)}, "UPSTREAM_INVALID_RESPONSE", "NOT_SENT", "the console's answer names no upload, and nothing was changed"},
		"prepare, without a place":  {create, consolesim.Fault{Body: []byte(`{"id":"` + e2e.UnknownID + `"}`)}, "UPSTREAM_INVALID_RESPONSE", "NOT_SENT", "the console's answer cannot be understood, and nothing was changed: the answer names no upload channel"},
		"prepare, dropped":          {create, consolesim.Fault{Drop: true}, "UPSTREAM_UNAVAILABLE", "NOT_SENT", "the console is not available, and nothing was changed: the connection was closed"},
		"storage, 503":              {storage, consolesim.Fault{Status: 503}, "UPSTREAM_UNAVAILABLE", "NOT_SENT", "the storage of the upload is not available, and nothing was changed: Service Unavailable"},
		"storage, 403":              {storage, consolesim.Fault{Status: 403, Body: []byte(`<Error><Code>AccessDenied</Code></Error>`), ContentType: "application/xml"}, "UPSTREAM_INVALID_RESPONSE", "NOT_SENT", "the storage of the upload failed, and nothing was changed: the storage did not take the file"},
		"storage, a page":           {storage, page, "UPSTREAM_INVALID_RESPONSE", "NOT_SENT", "the storage of the upload failed, and nothing was changed: the storage did not take the file"},
		"storage, dropped":          {storage, consolesim.Fault{Drop: true}, "UPSTREAM_UNAVAILABLE", "NOT_SENT", "the storage of the upload is not available, and nothing was changed: the connection was closed"},
		"complete, refused":         {complete, consolesim.Fault{Status: 400, Detail: "No."}, "BAD_USER_INPUT", "REFUSED", "the console refuses this input, and nothing was done: No.: the file is in its place, and completePackageUpload ends the upload"},
		"complete, 500":             {complete, consolesim.Fault{Status: 500}, "UPSTREAM_UNAVAILABLE", "UNKNOWN", "the console is not available, and the change may have been made or not: check before you repeat it: Internal Server Error: the file is in its place, and completePackageUpload ends the upload"},
		"complete, an empty object": {complete, consolesim.Fault{Body: []byte(`{}`), After: true}, "UPSTREAM_INVALID_RESPONSE", "DONE", "done: the console made the change, and its answer says nothing about it"},
		"complete, an empty list":   {complete, consolesim.Fault{Body: []byte(`[]`), After: true}, "UPSTREAM_INVALID_RESPONSE", "DONE", "done: the console made the change, and its answer says nothing about it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := e2e.NewWorld(t, consolesim.Options{}, small)
			w.Sim.Fail(tt.step, tt.fault)
			file, _ := e2e.RandomFile(5000)
			a, err := w.UploadWithLength(file, same)
			if err != nil {
				t.Fatal(err)
			}
			w.WantOutcome(a, tt.code, tt.outcome)
			if message := a.Errors[0].Message; message != tt.message {
				t.Errorf("%q, want %q", message, tt.message)
			}
		})
	}
}

// TestUndescribedUploads verifies that a client that uploads a file itself learns of a
// success without details.
func TestUndescribedUploads(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for _, said := range []string{"", `{}`, `[]`, `null`, `{"count":0,"list":[]}`, `{"id":""}`, `{"id":"` + e2e.UnknownID + `"}`, `{"id":"` + e2e.UnknownID + `","channel":{"uri":""}}`} {
		heal := w.Sim.Fail(preloaded(http.MethodPost), consolesim.Fault{Body: []byte(said)})
		w.WantOutcome(w.Ask(`mutation { createPackageUpload { upload { id } } }`, e2e.Request{}), "UPSTREAM_INVALID_RESPONSE", "DONE")
		heal()
	}
}

// TestUndescribedViewer verifies that an empty answer does not mean that there is no
// user.
func TestUndescribedViewer(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{})
	for _, said := range []string{"", `{}`, `[]`, `null`, `{"count":0,"list":[]}`, `{"count":1,"list":[{}]}`, `{"id":""}`} {
		heal := w.Sim.Fail(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/self") }, consolesim.Fault{Body: []byte(said)})
		if e := w.OnlyError(w.Ask(`{ viewer { id } }`, e2e.Request{})); e.Extensions.Code != "UPSTREAM_INVALID_RESPONSE" {
			t.Errorf("%q: %+v", said, e)
		}
		heal()
	}
}
