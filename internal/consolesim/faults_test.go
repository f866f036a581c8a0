package consolesim

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func onPath(part string) func(*http.Request) bool {
	return func(r *http.Request) bool { return strings.Contains(r.URL.Path, part) }
}

func TestFaultWithStatus(t *testing.T) {
	c := start(t, Options{})
	cancel := c.Fail(onPath("/queues"), Fault{Status: 503, Title: "Overloaded", Detail: "try later", Header: http.Header{"Retry-After": {"7"}}})
	a := c.call(http.MethodGet, "/openapi/queues", "").problem(http.StatusServiceUnavailable, "try later")
	if a.object().str("title") != "Overloaded" || a.header.Get("Retry-After") != "7" {
		t.Errorf("answer %s with %v", a.raw, a.header)
	}
	c.get("/openapi/robots")
	cancel()
	cancel()
	c.get("/openapi/queues")
}

func TestFaultTimesAndOrder(t *testing.T) {
	c := start(t, Options{})
	c.Fail(nil, Fault{Status: 500})
	c.Fail(nil, Fault{Status: 502, Times: 2})
	for _, want := range []int{502, 502, 500, 500} {
		c.call(http.MethodGet, "/openapi/queues", "").problem(want, "")
	}
}

func TestFaultReadsBody(t *testing.T) {
	c := start(t, Options{})
	c.Fail(func(r *http.Request) bool {
		b, err := io.ReadAll(r.Body)
		return err == nil && strings.Contains(string(b), "grant_type=refresh_token")
	}, Fault{Status: 500})
	user, password := c.DefaultUser()
	o := c.form(grant("password", "username", user, "password", password)).want(http.StatusOK).object()
	c.form(grant("refresh_token", "refresh_token", o.str("refresh_token"))).want(http.StatusInternalServerError)
}

func TestFaultGarbage(t *testing.T) {
	c := start(t, Options{})
	c.Fail(onPath("/robots"), Fault{Body: []byte("<html>"), ContentType: "text/html"})
	if a := c.get("/openapi/robots"); string(a.raw) != "<html>" || a.header.Get("Content-Type") != "text/html" {
		t.Errorf("answer %q with %v", a.raw, a.header)
	}
	c.Fail(onPath("/queues"), Fault{Body: []byte("bad gateway"), Status: 502})
	if a := c.call(http.MethodGet, "/openapi/queues", "").want(502); string(a.raw) != "bad gateway" {
		t.Errorf("answer %q", a.raw)
	}
}

func TestFaultDropAndTruncate(t *testing.T) {
	c := start(t, Options{})
	create := func(f Fault) error {
		defer c.Fail(nil, f)()
		_, err := c.send(http.MethodPost, c.APIURL()+"/openapi/queues", []byte(`{"name":"n"}`), nil)
		return err
	}
	before := len(c.Data().QueueIDs(c.dept))
	for name, tc := range map[string]struct {
		fault   Fault
		created int
	}{
		"dropped before":  {Fault{Drop: true}, 0},
		"dropped after":   {Fault{Drop: true, After: true}, 1},
		"truncated":       {Fault{Truncate: true}, 1},
		"replaced before": {Fault{Status: 500, Truncate: true}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := c.in(t)
			if err := create(tc.fault); err == nil {
				t.Error("the answer arrived")
			}
			after := len(c.Data().QueueIDs(c.dept))
			if after-before != tc.created {
				t.Errorf("%d queues were created, want %d", after-before, tc.created)
			}
			before = after
		})
	}
}

func TestFaultDelayEndsWithRequest(t *testing.T) {
	c := start(t, Options{})
	c.Fail(nil, Fault{Delay: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.APIURL()+"/openapi/queues", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.http.Do(req)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("answer %v, error %v", res, err)
	}
}

func TestLatencyIsNotSerialised(t *testing.T) {
	const latency, calls = 300 * time.Millisecond, 100
	c := start(t, Options{Latency: latency})
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() { c.try(http.MethodGet, "/openapi/queues?PageSize=1", "", http.StatusOK) })
	}
	wg.Wait()
	var ends []time.Time
	for _, q := range c.Requests() {
		ends = append(ends, q.End)
		if d := q.End.Sub(q.Start); d < latency || q.Status != http.StatusOK {
			t.Errorf("request took %v with status %d", d, q.Status)
		}
	}
	slices.SortFunc(ends, time.Time.Compare)
	for i := 1; i < len(ends); i++ {
		if ends[i].Sub(ends[i-1]) < latency {
			return
		}
	}
	t.Errorf("each of %d calls ended at least %v after the one before", len(ends), latency)
}

func TestBodyFaults(t *testing.T) {
	c := start(t, Options{})
	whole := c.get("/openapi/queues")
	cancel := c.Fail(onPath("/queues"), Fault{Drip: time.Microsecond})
	if a := c.get("/openapi/queues"); string(a.raw) != string(whole.raw) {
		t.Errorf("byte by byte: %s", a.raw)
	}
	cancel()
	c.Fail(onPath("/queues"), Fault{Endless: true})
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.APIURL()+"/openapi/queues", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if n, err := io.CopyN(io.Discard, resp.Body, 1<<20); err != nil {
		t.Errorf("the body ends after %d bytes: %v", n, err)
	}
}
