package edge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
	"github.com/consoleql/consoleql/internal/principal"
)

// TestRequestMemoryIsBounded verifies the bounds on one request and on all requests.
func TestRequestMemoryIsBounded(t *testing.T) {
	s := &server{opts: Options{Limits: querylimit.Limits{}.WithDefaults()}, bodies: graphqlhttp.NewBodyPool(0)}
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
	chunked := post(querylimit.AnonymousBodyBytes + 1)
	chunked.ContentLength = -1
	get := func(n int) *http.Request {
		return httptest.NewRequest(http.MethodGet, "/graphql?query="+url.QueryEscape("{ "+strings.Repeat("x", n)+" }"), nil)
	}
	as := func(r *http.Request) *http.Request {
		return r.WithContext(principal.NewContext(r.Context(), principal.FromToken("t")))
	}
	form := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(strings.Repeat("x", querylimit.AnonymousBodyBytes+1)))
	form.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	for name, tt := range map[string]struct {
		request *http.Request
		held    int64 // by others, of those without credentials
		own     int64 // by the caller's other requests
		status  int
	}{
		"short":                           {post(querylimit.AnonymousBodyBytes), 0, 0, 200},
		"too long":                        {post(querylimit.AnonymousBodyBytes + 1), 0, 0, 413},
		"too long, chunked":               {chunked, 0, 0, 413},
		"a form":                          {form, 0, 0, 413},
		"a query string":                  {get(1000), 0, 0, 200},
		"too long a query string":         {get(querylimit.AnonymousBodyBytes), 0, 0, 414},
		"with credentials":                {as(post(1 << 20)), 0, 0, 200},
		"with credentials, by GET":        {as(get(querylimit.AnonymousBodyBytes)), 0, 0, 200},
		"too long with credentials":       {as(post(1<<20 + 1)), 0, 0, 413},
		"many":                            {post(1000), graphqlhttp.AnonymousBytes - 999, 0, 503},
		"many, by GET":                    {get(1000), graphqlhttp.AnonymousBytes - 999, 0, 503},
		"many others":                     {as(post(1000)), graphqlhttp.AnonymousBytes, 0, 200},
		"as many of one caller as can be": {as(post(graphqlhttp.SmallBytes + 1000)), 0, graphqlhttp.BodyPoolBytes/4 + graphqlhttp.SmallBytes + 1, 503},
		"as many of one caller, by GET":   {as(get(graphqlhttp.SmallBytes + 1000)), 0, graphqlhttp.BodyPoolBytes/4 + graphqlhttp.SmallBytes + 1, 503},
		"fewer of one caller":             {as(post(graphqlhttp.SmallBytes + 1000)), 0, graphqlhttp.BodyPoolBytes/4 - 2000, 200},
		"room again":                      {post(1000), 0, 0, 200},
	} {
		t.Run(name, func(t *testing.T) {
			for caller, n := range map[string]int64{"": tt.held, "t": tt.own} {
				ctx := t.Context()
				if caller != "" {
					ctx = principal.NewContext(ctx, principal.FromToken(caller))
				}
				others := s.bodies.Begin(ctx)
				defer others.Release()
				if _, err := io.Copy(io.Discard, others.Reader(io.LimitReader(endless{}, n))); err != nil {
					t.Fatal(err)
				}
			}
			reached = 0
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, tt.request)
			if rec.Code != tt.status || (reached == 1) != (tt.status == 200) {
				t.Errorf("%d: %.300s", rec.Code, rec.Body)
			}
			var refused struct {
				Errors []struct{ Extensions struct{ RetryAfter int } }
			}
			if rec.Body.Len() > 0 {
				if err := json.Unmarshal(rec.Body.Bytes(), &refused); err != nil || len(refused.Errors) != 1 {
					t.Fatalf("%v: %.300s", err, rec.Body)
				}
			}
			switch after := rec.Header().Get("Retry-After"); {
			case tt.status != http.StatusServiceUnavailable && after != "":
				t.Errorf("Retry-After: %q", after)
			case tt.status == http.StatusServiceUnavailable && (!slices.Contains([]string{"1", "2", "3"}, after) || after != strconv.Itoa(refused.Errors[0].Extensions.RetryAfter)):
				t.Errorf("Retry-After: %q, in extensions %d", after, refused.Errors[0].Extensions.RetryAfter)
			}
		})
	}
	all := s.bodies.Begin(t.Context())
	defer all.Release()
	if _, err := io.Copy(io.Discard, all.Reader(io.LimitReader(endless{}, graphqlhttp.AnonymousBytes))); err != nil {
		t.Errorf("bytes of requests without credentials are still counted: %v", err)
	}
	other := s.bodies.Begin(principal.NewContext(t.Context(), principal.FromToken("t")))
	defer other.Release()
	if _, err := io.Copy(io.Discard, other.Reader(io.LimitReader(endless{}, graphqlhttp.BodyPoolBytes/4))); err != nil {
		t.Errorf("bytes of requests are still counted: %v", err)
	}
}

// TestUploadLimitIsShared: one caller leaves places to others, those with unverified tokens leave half of the places to API
// keys, and an upload without a place is refused before it is read.
func TestUploadLimitIsShared(t *testing.T) {
	key := func(name string) principal.Principal { return principal.ForAccount("a", nil).WithKey(name) }
	for name, tt := range map[string]struct {
		uploads int
		holder  func(i int) principal.Principal
		refused principal.Principal // a further upload
		other   principal.Principal
	}{
		"an API key":        {maxUploads/2 + 1, func(int) principal.Principal { return key("a") }, key("a"), key("b")},
		"unverified tokens": {maxUploads, func(i int) principal.Principal { return principal.FromToken(fmt.Sprint(i)) }, principal.FromToken("last"), key("b")},
		"made-up sessions":  {maxUploads, func(i int) principal.Principal { return principal.FromSession(fmt.Sprint(i)) }, principal.FromSession("last"), key("b")},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{opts: Options{Limits: querylimit.Limits{}.WithDefaults()}}
			s.uploads.Total, s.unverifiedUploads.Total = maxUploads, maxUploads/2
			decided, end := make(chan struct{}), make(chan struct{})
			h := s.limitUploads(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Has("wait") {
					decided <- struct{}{}
					<-end
				}
			}))
			send := func(who principal.Principal, query string) *httptest.ResponseRecorder {
				r := httptest.NewRequest(http.MethodPost, "/graphql"+query, unread{t})
				r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, r.WithContext(principal.NewContext(r.Context(), who)))
				return rec
			}
			var running sync.WaitGroup
			for i := range tt.uploads {
				running.Go(func() {
					if send(tt.holder(i), "?wait").Code != http.StatusOK {
						decided <- struct{}{}
					}
				})
				<-decided
			}
			rec := send(tt.refused, "")
			if after := rec.Header().Get("Retry-After"); rec.Code != http.StatusServiceUnavailable || !slices.Contains([]string{"1", "2", "3"}, after) || rec.Header().Get("Connection") != "close" {
				t.Errorf("%d, Retry-After: %q: %s", rec.Code, after, rec.Body)
			}
			if rec := send(tt.other, ""); rec.Code != http.StatusOK {
				t.Errorf("another caller is answered %d", rec.Code)
			}
			close(end)
			running.Wait()
			if rec := send(tt.refused, ""); rec.Code != http.StatusOK {
				t.Errorf("after the uploads have ended: %d", rec.Code)
			}
		})
	}
}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

// TestSlowBodies: a client that sends a byte per second is refused. One whose body nobody reads for a while is not.
func TestSlowBodies(t *testing.T) {
	for name, tt := range map[string]struct {
		bytes     int // per second
		readPause time.Duration
		slow      bool
	}{
		"a byte":                {1, 0, true},
		"just too slow":         {minRate - 1, 0, true},
		"fast enough":           {minRate, 0, false},
		"fast enough, not read": {minRate, time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				body := idleTimeout(httptest.NewRecorder(), io.NopCloser(&paced{bytes: tt.bytes}), bodyTimeout)
				buffer := make([]byte, minRate)
				var err error
				for range 100 {
					if _, err = body.Read(buffer); err != nil {
						break
					}
					time.Sleep(tt.readPause)
				}
				if errors.Is(err, errSlowBody) != tt.slow || err != nil && !tt.slow {
					t.Errorf("read: %v", err)
				}
			})
		})
	}
}

// paced is a body of which so many bytes come in a second.
type paced struct{ bytes int }

func (p *paced) Read(b []byte) (int, error) {
	time.Sleep(time.Second)
	return min(p.bytes, len(b)), nil
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
