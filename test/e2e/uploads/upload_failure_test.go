package uploads

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/gateway"
	"github.com/consoleql/consoleql/test/e2e"
)

const (
	createUpload   = "POST /openapi/preloadedVersionFiles"
	completeUpload = "PATCH /openapi/preloadedVersionFiles/{id}"
)

// preloaded matches the steps of an upload by their method.
func preloaded(method string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return r.Method == method && strings.Contains(r.URL.Path, "/preloadedVersionFiles")
	}
}

func small(s *gateway.Settings, _ *consolesim.Server) { s.DirectUploadBytes = 1000 }

func same(form []byte) []byte { return form }

// TestUploadsSurviveOneFailure verifies that an upload is prepared again, and that a failed
// completion can be repeated with its id.
func TestUploadsSurviveOneFailure(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, small)
	for name, fault := range map[string]consolesim.Fault{"503": {Status: 503, Times: 1}, "504": {Status: 504, Times: 1}, "reset": {Drop: true, Times: 1}} {
		t.Run("prepare, "+name, func(t *testing.T) {
			defer w.Sim.Fail(preloaded(http.MethodPost), fault)()
			w.Sim.ResetCounts()
			file, sum := e2e.RandomFile(5000)
			a, err := w.UploadWithLength(file, same)
			if err != nil || len(a.Errors) > 0 || w.Calls()[createUpload] != 2 {
				t.Fatalf("%v: %v, %s", err, w.Calls(), a.Body)
			}
			checkUploaded(w, a, sum(), 5000)
		})
	}
	for name, fault := range map[string]consolesim.Fault{"503": {Status: 503, Times: 1}, "reset": {Drop: true, Times: 1}, "429": {Status: 429, Times: 1}} {
		t.Run("complete, "+name, func(t *testing.T) {
			defer w.Sim.Fail(preloaded(http.MethodPatch), fault)()
			w.Sim.ResetCounts()
			file, _ := e2e.RandomFile(int64(6000 + len(name)))
			a, err := w.UploadWithLength(file, same)
			if err != nil || w.Calls()[completeUpload] != 1 {
				t.Fatalf("%v: %v", err, w.Calls())
			}
			e := w.OnlyError(a)
			outcome := "UNKNOWN"
			if fault.Status == 429 {
				outcome = "REFUSED"
			}
			if e.Extensions.Outcome != outcome || e.Extensions.UploadID == "" || !strings.Contains(e.Message, "completePackageUpload") {
				t.Fatalf("%s", a.Body)
			}
			var done struct{ PackageID string }
			w.Mutate("completePackageUpload", map[string]any{"id": e.Extensions.UploadID}, "packageId", &done)
			if done.PackageID == "" || !lastUpload(w).Completed {
				t.Error("it is not completed")
			}
		})
	}
	t.Run("the storage", func(t *testing.T) {
		defer w.Sim.Fail(func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/uploads/") }, consolesim.Fault{Status: 503})()
		w.Sim.ResetCounts()
		file, _ := e2e.RandomFile(7000)
		a, err := w.UploadWithLength(file, same)
		if err != nil {
			t.Fatal(err)
		}
		w.WantOutcome(a, "UPSTREAM_UNAVAILABLE", "NOT_SENT")
		if n := w.Calls()[completeUpload]; n != 0 || a.Errors[0].Extensions.UploadID != "" {
			t.Errorf("%d completions: %s", n, a.Body)
		}
	})
	t.Run("nothing is said of what was uploaded", func(t *testing.T) {
		w.AnswerEmpty(http.MethodPatch, "/preloadedVersionFiles")
		w.AnswerEmpty(http.MethodPut, "/packages")
		for _, size := range []int64{900, 8000} {
			file, _ := e2e.RandomFile(size)
			a, err := w.UploadWithLength(file, same)
			if err != nil {
				t.Fatal(err)
			}
			w.WantOutcome(a, "UPSTREAM_INVALID_RESPONSE", "DONE")
		}
	})
}

// TestUploadsOfDeclaredSize tests forms in chunks, whose length is unknown. Console and
// storage need the declared size.
func TestUploadsOfDeclaredSize(t *testing.T) {
	t.Parallel()
	w := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.DirectUploadBytes = 3 << 20 })
	defer w.Sim.Fail(func(r *http.Request) bool {
		return r.Method == http.MethodPut && r.ContentLength < 0
	}, consolesim.Fault{Status: http.StatusLengthRequired})()
	for name, tt := range map[string]struct {
		size int64
		said string
	}{
		"straight":             {3_000_000, "3000000"},
		"straight, as a Float": {2_500_000, "2.5e6"},
		"by the channel":       {4_000_000, "4000000"},
		"empty":                {0, "0"},
		"short":                {1000, "1000"},
		"short, null":          {1001, "null"},
	} {
		t.Run(name, func(t *testing.T) {
			w.Sim.ResetCounts()
			file, sum := e2e.RandomFile(tt.size)
			a, err := w.UploadChunked(e2e.SizedUploadQuery(tt.said), file)
			if err != nil {
				t.Fatal(err)
			}
			if tt.size == 0 {
				w.WantOutcome(a, "BAD_USER_INPUT", "REFUSED") // the console refuses an empty file
				return
			}
			checkUploaded(w, a, sum(), tt.size)
		})
	}
	w.Sim.ResetCounts()
	quiet := e2e.NewWorld(t, consolesim.Options{}, func(s *gateway.Settings, _ *consolesim.Server) { s.DirectUploadBytes = 3 << 20 }) // gets no call
	for name, tt := range map[string]struct {
		size     int64
		said     string
		argument string
		called   bool
	}{
		"no size":          {4_000_000, "null", "input.size", false},
		"too small":        {4_000_000, "3999999", "input.file", true},
		"too large":        {4_000_000, "4000001", "input.file", true},
		"small, too small": {2000, "1999", "input.file", true},
		"small, too large": {2000, "2001", "input.file", true},
		"a fraction":       {4_000_000, "4000000.5", "input.size", false},
		"negative":         {4_000_000, "-1", "input.size", false},
		"beyond 2^53":      {4_000_000, "1e300", "input.size", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := w
			if !tt.called {
				w = quiet
			}
			file, _ := e2e.RandomFile(tt.size)
			a, err := w.UploadChunked(e2e.SizedUploadQuery(tt.said), file)
			if err != nil {
				t.Fatal(err)
			}
			w.WantOutcome(a, "BAD_USER_INPUT", "NOT_SENT")
			if got := a.Errors[0].Extensions.Argument; got != tt.argument {
				t.Errorf("argument %q: %s", got, a.Body)
			}
		})
	}
	if n := w.Calls()[completeUpload]; n != 0 {
		t.Errorf("%d completions", n)
	}
	t.Run("more than the request holds", func(t *testing.T) {
		var body bytes.Buffer
		file, _ := e2e.RandomFile(100_000)
		contentType, send := e2e.Form(&body, e2e.SizedUploadQuery("200000"), file)
		if err := send(); err != nil {
			t.Fatal(err)
		}
		a, err := quiet.Post200(bytes.NewReader(body.Bytes()), contentType)
		if err != nil {
			t.Fatal(err)
		}
		quiet.WantOutcome(a, "BAD_USER_INPUT", "NOT_SENT")
	})
	quiet.CheckNoCalls()
}
