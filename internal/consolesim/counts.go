package consolesim

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	maxLoggedBody     = 64 << 10 // of one request
	maxLoggedBodies   = 16 << 20 // of all requests together
	maxLoggedRequests = 1 << 14  // the oldest are forgotten
)

// Request describes a request and its answer.
type Request struct {
	Operation    string      // as in the document, e.g. "GET /openapi/workflows/{workflowId}"
	Method       string      // HTTP method
	Path         string      // as sent
	RawQuery     string      // as sent
	CompanyID    string      // the CompanyId header as sent
	DepartmentID string      // the DepartmentId header as sent
	Start        time.Time   // arrival, by the wall clock
	End          time.Time   // just before the answer was written; zero while running
	Status       int         // 0 while running, and for a dropped connection
	Header       http.Header // request headers; must not be modified
	Body         []byte      // at most 64 KiB, as far as the body was read; must not be modified
}

// journal counts and records requests.
type journal struct {
	mu       sync.Mutex
	counts   map[string]int
	requests []*Request
	next     int // index of the oldest entry, once full
	bodies   int // bytes of bodies kept
}

func newJournal() *journal { return &journal{counts: map[string]int{}} }

// begin counts a request before it is handled, so that its client finds it counted.
func (j *journal) begin(operation string, r *http.Request) *Request {
	q := &Request{
		Operation: operation, Method: r.Method, Path: r.URL.Path, RawQuery: r.URL.RawQuery,
		CompanyID: r.Header.Get("CompanyId"), DepartmentID: r.Header.Get("DepartmentId"),
		Start: time.Now(), Header: r.Header,
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.counts[operation]++
	if len(j.requests) < maxLoggedRequests {
		j.requests = append(j.requests, q)
		return q
	}
	j.bodies -= len(j.requests[j.next].Body)
	j.requests[j.next] = q
	j.next = (j.next + 1) % len(j.requests)
	return q
}

// body records the beginning of a request's body.
func (j *journal) body(q *Request, b []byte) {
	b = b[:min(len(b), maxLoggedBody)]
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.bodies+len(b) > maxLoggedBodies {
		return
	}
	j.bodies += len(b) - len(q.Body)
	q.Body = b
}

// finish records the answer; status 0 means that there is none.
func (j *journal) finish(q *Request, status int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	q.End, q.Status = time.Now(), status
}

func (j *journal) reset() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.counts, j.requests, j.next, j.bodies = map[string]int{}, nil, 0, 0
}

func (j *journal) snapshot() []Request {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]Request, 0, len(j.requests))
	for i := range j.requests {
		out = append(out, *j.requests[(j.next+i)%len(j.requests)])
	}
	return out
}

// Counts returns the number of requests by operation since the start or the last
// [Server.ResetCounts], for all three listeners. Its keys are those of the document: "GET
// /openapi/workflows/{workflowId}", "POST /connect/token", "PUT storage". Requests of no
// operation count as "unknown". A request is counted when it arrives.
func (s *Server) Counts() map[string]int {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return maps.Clone(s.log.counts)
}

// ResetCounts clears the counts and the request log.
func (s *Server) ResetCounts() { s.log.reset() }

// Requests returns the newest 16,384 requests since the start or the last
// [Server.ResetCounts], oldest first.
func (s *Server) Requests() []Request { return s.log.snapshot() }

// prefix is a reader that records the beginning of what it reads.
type prefix struct {
	r    io.Reader
	head []byte
}

// Read implements io.Reader.
func (p *prefix) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if room := maxLoggedBody - len(p.head); room > 0 {
		p.head = append(p.head, b[:min(n, room)]...)
	}
	return n, err
}

// secretLog records every secret that was sent or received, so that tests can search for
// leaks.
type secretLog struct {
	mu  sync.Mutex
	set map[string]struct{}
}

func (l *secretLog) add(secrets ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range secrets {
		if s != "" && len(l.set) < 1<<18 {
			l.set[s] = struct{}{}
		}
	}
}

func (l *secretLog) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.set))
}
