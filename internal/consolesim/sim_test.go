package consolesim

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// console is a running simulator with a caller.
type console struct {
	*Server
	t       *testing.T
	http    *http.Client
	token   string
	company string
	dept    string
}

// start runs a simulator for one test; the caller is its default user in the main department.
func start(t *testing.T, o Options) *console {
	t.Helper()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	tr := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	user, _ := s.DefaultUser()
	d := s.Data()
	return &console{
		Server: s, t: t, http: &http.Client{Transport: tr},
		token: s.Token(user), company: d.MainCompanyID(), dept: d.MainDepartmentID(),
	}
}

// as returns the same simulator with another caller or scope.
func (c *console) as(token, company, dept string) *console {
	other := *c
	other.token, other.company, other.dept = token, company, dept
	return &other
}

// in returns the same simulator with a caller for a subtest.
func (c *console) in(t *testing.T) *console {
	other := *c
	other.t = t
	return &other
}

// answer is an HTTP answer.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	raw    []byte
}

// send sends a request with the caller's headers; "" in header removes one.
func (c *console) send(method, address string, body []byte, header map[string]string) (answer, error) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, address, bytes.NewReader(body))
	if err != nil {
		c.t.Fatalf("request: %v", err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.company != "" {
		req.Header.Set("CompanyId", c.company)
	}
	if c.dept != "" {
		req.Header.Set("DepartmentId", c.dept)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range header {
		if v == "" {
			req.Header.Del(k)
		} else {
			req.Header.Set(k, v)
		}
	}
	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	raw, err := io.ReadAll(res.Body)
	if cerr := res.Body.Close(); err == nil {
		err = cerr
	}
	return answer{c.t, res.StatusCode, res.Header, raw}, err
}

// call sends an API request that must be answered. A string body is sent as JSON; "" is no
// body.
func (c *console) call(method, path, body string) answer {
	c.t.Helper()
	var b []byte
	if body != "" {
		b = []byte(body)
	}
	a, err := c.send(method, c.APIURL()+path, b, nil)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// try is call for goroutines: it reports a failed call or another status without ending the test.
func (c *console) try(method, path, body string, want int) {
	c.t.Helper()
	a, err := c.send(method, c.APIURL()+path, []byte(body), nil)
	if err != nil || a.status != want {
		c.t.Errorf("%s %s: status %d, want %d: %v", method, path, a.status, want, err)
	}
}

func (c *console) get(path string) answer {
	c.t.Helper()
	return c.call(http.MethodGet, path, "").want(http.StatusOK)
}

// form posts to the token endpoint.
func (c *console) form(fields url.Values) answer {
	c.t.Helper()
	a, err := c.as("", "", "").send(http.MethodPost, c.SSOURL()+"/connect/token", []byte(fields.Encode()),
		map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
	if err != nil {
		c.t.Fatalf("token: %v", err)
	}
	return a
}

func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.raw)
	}
	return a
}

// problem requires an RFC 7807 answer whose detail contains a text.
func (a answer) problem(status int, detail string) answer {
	a.t.Helper()
	a.want(status)
	if ct := a.header.Get("Content-Type"); !strings.HasPrefix(ct, "application/problem+json") {
		a.t.Errorf("Content-Type %q of a problem", ct)
	}
	o := a.object()
	for _, k := range []string{"type", "title", "status", "detail", "instance", "extensions"} {
		if _, ok := o[k]; !ok {
			a.t.Errorf("problem without %s: %s", k, a.raw)
		}
	}
	if o["status"] != float64(status) || !strings.Contains(o.str("detail"), detail) {
		a.t.Errorf("problem %s, want status %d and detail with %q", a.raw, status, detail)
	}
	return a
}

// object is a JSON object.
type object map[string]any

func (a answer) object() object {
	a.t.Helper()
	var o object
	if err := json.Unmarshal(a.raw, &o); err != nil {
		a.t.Fatalf("answer is no JSON object: %v: %s", err, a.raw)
	}
	return o
}

func (a answer) array() []object {
	a.t.Helper()
	var l []object
	if err := json.Unmarshal(a.raw, &l); err != nil {
		a.t.Fatalf("answer is no JSON array of objects: %v: %s", err, a.raw)
	}
	return l
}

func (o object) str(k string) string { s, _ := o[k].(string); return s }
func (o object) int(k string) int    { n, _ := o[k].(float64); return int(n) }

// list returns the objects under a key.
func (o object) list(k string) []object {
	l, _ := o[k].([]any)
	out := make([]object, 0, len(l))
	for _, v := range l {
		if m, ok := v.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// idsOf returns the id of each object.
func idsOf(l []object) []string {
	out := make([]string, 0, len(l))
	for _, o := range l {
		out = append(out, o.str("id"))
	}
	return out
}

// clock is a clock that tests advance.
type clock struct{ at chan time.Time }

func newClock() *clock {
	c := &clock{make(chan time.Time, 1)}
	c.at <- time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	return c
}

func (c *clock) now() time.Time { t := <-c.at; c.at <- t; return t }

func (c *clock) advance(d time.Duration) { c.at <- (<-c.at).Add(d) }
