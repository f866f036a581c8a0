package consolesim

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Fault is a failure on demand. Its zero value does nothing.
type Fault struct {
	// Delay precedes everything else; without other fields it only slows the operation. It
	// ends with the request.
	Delay time.Duration
	// Status replaces the operation's answer by this status and a problem of Title and Detail.
	Status int
	// Title is the problem's title; default: the status text.
	Title string
	// Detail is the problem's detail.
	Detail string
	// Header is added to the answer, for example Retry-After.
	Header http.Header
	// Body replaces the problem literally. Status 0 is then 200.
	Body []byte
	// ContentType is that of Body; default application/json.
	ContentType string
	// Drop closes the connection without an answer.
	Drop bool
	// Raw is sent instead of an answer of HTTP. The connection then stays open until its client closes it.
	Raw string
	// Truncate sends half of the answer's body and closes the connection.
	Truncate bool
	// Drip pauses for this long before each byte of the answer's body.
	Drip time.Duration
	// Endless sends a JSON list without an end instead of the answer's body.
	Endless bool
	// After executes the operation before its answer is replaced, dropped or truncated, as if
	// the answer had been lost. Without it the operation is not executed, unless only Truncate,
	// Drip, Endless or Delay is set.
	After bool
	// Times is how often the fault occurs; 0: until it is cancelled.
	Times int
}

// replaces reports whether the fault replaces the operation's answer.
func (f *Fault) replaces() bool { return f.Status != 0 || f.Body != nil || f.Raw != "" }

// sendRaw takes over a connection and sends text.
func sendRaw(w http.ResponseWriter, text string) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // the connection is of HTTP/2
	}
	_, _ = io.WriteString(conn, text)
	_, _ = io.Copy(io.Discard, buffered) // until the client closes it
	_ = conn.Close()
}

func (f *Fault) reply(d Dialect, instance string) reply {
	if f.Body != nil {
		ct := f.ContentType
		if ct == "" {
			ct = jsonType
		}
		status := f.Status
		if status == 0 {
			status = http.StatusOK
		}
		return reply{status: status, body: f.Body, contentType: ct, header: f.Header}
	}
	p := problemf(f.Status, "%s", f.Detail)
	if f.Title != "" {
		p.title = f.Title
	}
	p.header = f.Header
	return p.reply(d, instance)
}

// pendingFault is a fault waiting for its requests.
type pendingFault struct {
	match func(*http.Request) bool
	fault Fault
	left  int
}

// faults are all armed faults; any reports without a lock whether there are some.
type faults struct {
	any  atomic.Bool
	mu   sync.Mutex
	list []*pendingFault
}

// Fail arms a fault for the matching requests on all three listeners. A nil match matches
// every request. match can read a body of up to 1 MiB that is not a package upload. Of several
// matching faults, the latest applies. Calls of match are serialised. cancel disarms the fault
// and may be called repeatedly.
func (s *Server) Fail(match func(*http.Request) bool, f Fault) (cancel func()) {
	a := &pendingFault{match: match, fault: f, left: f.Times}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = append(s.faults.list, a)
	s.faults.any.Store(true)
	return func() {
		s.faults.mu.Lock()
		defer s.faults.mu.Unlock()
		s.faults.drop(a)
	}
}

func (fs *faults) drop(a *pendingFault) {
	fs.list = slices.DeleteFunc(fs.list, func(o *pendingFault) bool { return o == a })
	fs.any.Store(len(fs.list) > 0)
}

// pick returns the fault for a request, nil if there is none.
func (fs *faults) pick(r *http.Request, body []byte) *Fault {
	if !fs.any.Load() {
		return nil
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, a := range slices.Backward(fs.list) {
		seen := r.Clone(r.Context())
		seen.Body = io.NopCloser(bytes.NewReader(body))
		if a.match != nil && !a.match(seen) {
			continue
		}
		if a.fault.Times > 0 {
			if a.left--; a.left == 0 {
				fs.drop(a)
			}
		}
		f := a.fault
		return &f
	}
	return nil
}

// sleep waits for d, or until ctx is done.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
