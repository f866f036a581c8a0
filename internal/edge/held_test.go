package edge

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/principal"
)

func TestBodyPool(t *testing.T) {
	p := &bodyPool{most: 10 << 20}
	anonymous := []*held{{pool: p, anonymous: true}, {pool: p, anonymous: true}}
	known := &held{pool: p}
	for i, step := range []struct {
		of   *held
		n    int64
		busy bool
	}{
		{anonymous[0], anonymousBytes - 1, false},
		{anonymous[1], 2, true},
		{anonymous[1], 1, false},
		{anonymous[0], 1, true},
		{known, 6 << 20, false},
		{known, 1, true}, // the pool of all
	} {
		if err := step.of.take(step.n); errors.Is(err, errBusy) != step.busy {
			t.Errorf("step %d: %v", i, err)
		}
	}
	anonymous[0].release()
	anonymous[0].release()
	if err := anonymous[1].take(anonymousBytes - 1); err != nil {
		t.Errorf("after a release: %v", err)
	}
	anonymous[1].release()
	known.release()
	if p.all != 0 || p.anonymous != 0 {
		t.Errorf("%d and %d bytes are still counted", p.all, p.anonymous)
	}
}

// TestRequestsAreHeldInBounds: by their length, and by what all of them hold.
func TestRequestsAreHeldInBounds(t *testing.T) {
	s := &server{opts: Options{Limits: Limits{}.withDefaults()}, bodies: &bodyPool{most: bodyPoolBytes}}
	reached := 0
	h := s.countBody(s.limitBody(s.readParameters(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))))
	body := func(n int) string {
		const frame = `{"query":"{__typename}","variables":{"v":""}}`
		return strings.Replace(frame, `""`, `"`+strings.Repeat("x", n-len(frame))+`"`, 1)
	}
	post := func(n int) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(body(n)))
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	chunked := post(anonymousBodyBytes + 1)
	chunked.ContentLength = -1
	get := func(n int) *http.Request {
		return httptest.NewRequest(http.MethodGet, "/graphql?query="+url.QueryEscape("{ "+strings.Repeat("x", n)+" }"), nil)
	}
	as := func(r *http.Request) *http.Request {
		return r.WithContext(principal.NewContext(r.Context(), principal.FromToken("t")))
	}
	form := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(strings.Repeat("x", anonymousBodyBytes+1)))
	form.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	for name, tt := range map[string]struct {
		request *http.Request
		held    int64 // by others, of those without credentials
		all     int64 // by others, of those with
		status  int
	}{
		"short":                     {post(anonymousBodyBytes), 0, 0, 200},
		"too long":                  {post(anonymousBodyBytes + 1), 0, 0, 413},
		"too long, chunked":         {chunked, 0, 0, 413},
		"a form":                    {form, 0, 0, 413},
		"a query string":            {get(1000), 0, 0, 200},
		"too long a query string":   {get(anonymousBodyBytes), 0, 0, 414},
		"with credentials":          {as(post(1 << 20)), 0, 0, 200},
		"with credentials, by GET":  {as(get(anonymousBodyBytes)), 0, 0, 200},
		"too long with credentials": {as(post(1<<20 + 1)), 0, 0, 413},
		"many":                      {post(1000), anonymousBytes - 999, 0, 503},
		"many others":               {as(post(1000)), anonymousBytes, 0, 200},
		"as many as can be":         {as(post(1000)), 0, bodyPoolBytes - 999, 503},
		"room again":                {post(1000), 0, 0, 200},
	} {
		t.Run(name, func(t *testing.T) {
			others := []*held{{pool: s.bodies, anonymous: true}, {pool: s.bodies}}
			if err := errors.Join(others[0].take(tt.held), others[1].take(tt.all)); err != nil {
				t.Fatal(err)
			}
			defer others[0].release()
			defer others[1].release()
			reached = 0
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, tt.request)
			if rec.Code != tt.status || (reached == 1) != (tt.status == 200) {
				t.Errorf("%d: %.300s", rec.Code, rec.Body)
			}
			if (rec.Header().Get("Retry-After") == "1") != (tt.status == http.StatusServiceUnavailable) {
				t.Errorf("Retry-After: %q", rec.Header().Get("Retry-After"))
			}
		})
	}
	if s.bodies.all != 0 || s.bodies.anonymous != 0 {
		t.Errorf("%d and %d bytes are still counted", s.bodies.all, s.bodies.anonymous)
	}
}

// everyKey knows every API key.
type everyKey struct{}

func (everyKey) Find(string) (principal.Principal, bool) { return principal.DefaultService(), true }

func TestCredentialsAreShortAndUTF8(t *testing.T) {
	s := &server{}
	if _, err := s.bearer(t.Context(), "Bearer "+strings.Repeat("x", maxCredential+1)); err == nil || len(err.Error()) > 200 {
		t.Errorf("%v", err)
	}
	if _, err := s.bearer(t.Context(), "Bearer "+strings.Repeat("x", maxCredential)); err != nil {
		t.Error(err)
	}
	s.opts.Keys = everyKey{}
	if _, err := s.Holder(strings.Repeat("x", maxCredential+1)); err == nil || len(err.Error()) > 200 {
		t.Errorf("%v", err)
	}
	if _, err := s.Holder(strings.Repeat("x", maxCredential)); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"Authorization", "X-Api-Key", "CompanyId", "DepartmentId", "X-ConsoleQL-Trace"} {
		h := http.Header{}
		h.Set(name, "\xc4\xe3")
		if err := checkHeaders(h); verdictOf(err) == "" {
			t.Errorf("%s is taken", name)
		}
		h.Set(name, "ä")
		if err := checkHeaders(h); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
