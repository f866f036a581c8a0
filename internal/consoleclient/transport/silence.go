package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"
)

const (
	// maxPatience is the default of Options.Silence.
	maxPatience = 2 * time.Second
	// secondsPause is how long no request is sent a second time after one that proved nothing: the console is slow.
	secondsPause = 5 * time.Second
)

// silence finds HTTP/1.1 connections of a pool that swallow what is sent: HTTP/1.1 has no pings. A GET that waits too
// long on a used connection is sent a second time, on a new one. If the second is answered first, the idle connections
// are closed, and the other GETs that wait too long are sent again. One request at a time is sent a second time, so that
// a slow console is asked little more.
type silence struct {
	base     http.RoundTripper
	patience time.Duration // see Options.Silence

	mu       sync.Mutex
	waiting  map[*attempt]struct{} // GETs that wait too long
	probing  bool
	notUntil time.Time
}

// attempt is one request on one connection. A GET may be overtaken by a second one.
type attempt struct {
	silence *silence
	req     *http.Request // in the caller's context
	cancel  context.CancelFunc

	mu        sync.Mutex
	connected bool // a connection was had
	reused    bool // and had been used before
	timer     *time.Timer
	ended     bool           // the first request has ended
	second    *http.Response // which was answered before the first
	again     bool           // the connection is dead
	probe     chan struct{}  // closed when the second request has ended; nil: there is none
	stopProbe context.CancelFunc
}

// errSilent says that a GET waited on a connection that is dead, and may be sent again.
var errSilent = errors.New("the connection is dead")

// pingLost says that an HTTP/2 connection answered no ping. net/http does not export its error.
func pingLost(err error) bool {
	return err != nil && strings.Contains(err.Error(), "http2: client connection lost")
}

// send sends a request once. The answer's body must be closed.
func (s *silence) send(req *http.Request) (*http.Response, *attempt, error) {
	ctx, cancel := context.WithCancel(req.Context())
	a := &attempt{silence: s, req: req, cancel: cancel}
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: a.gotConn})
	resp, err := s.base.RoundTrip(req.WithContext(traced))
	resp, err = a.end(resp, err)
	if err != nil {
		cancel()
		return nil, a, err
	}
	resp.Body = &attemptBody{ReadCloser: resp.Body, attempt: a}
	return resp, a, nil
}

// gotConn is told of the connection that a request is sent on; a request may have several.
func (a *attempt) gotConn(info httptrace.GotConnInfo) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.connected, a.reused = true, info.Reused
	if !info.Reused || a.req.Method != http.MethodGet || a.timer != nil || a.ended {
		return
	}
	if c, ok := info.Conn.(interface{ ConnectionState() tls.ConnectionState }); ok && c.ConnectionState().NegotiatedProtocol == "h2" {
		return // which has pings
	}
	patience := a.silence.patience
	if deadline, ok := a.req.Context().Deadline(); ok {
		patience = min(patience, time.Until(deadline)/2)
	}
	a.timer = time.AfterFunc(patience, func() { a.silence.suspect(a) })
}

// end takes what the first request came to, and returns what the attempt comes to.
func (a *attempt) end(resp *http.Response, err error) (*http.Response, error) {
	a.mu.Lock()
	probe := a.probe
	if err == nil || a.req.Context().Err() != nil {
		a.ended = true
	}
	if a.timer != nil {
		a.timer.Stop()
	}
	if a.ended && probe != nil {
		a.stopProbe()
	}
	a.mu.Unlock()
	if err != nil && probe != nil {
		<-probe // which may still be answered; it ends with the caller's context
	}
	a.silence.forget(a)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	switch {
	case a.second != nil:
		if err == nil {
			_ = resp.Body.Close() // the second was as good
		}
		return a.second, nil
	case a.again && err != nil && a.req.Context().Err() == nil:
		return nil, errSilent
	}
	return resp, err
}

// suspect is called when a GET has waited too long.
func (s *silence) suspect(a *attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.mu.Lock()
	ended := a.ended
	a.mu.Unlock()
	if ended {
		return
	}
	s.waiting[a] = struct{}{}
	if s.probing || time.Now().Before(s.notUntil) {
		return
	}
	ctx, cancel := context.WithCancel(a.req.Context())
	a.mu.Lock()
	a.probe, a.stopProbe = make(chan struct{}), cancel
	a.mu.Unlock()
	s.probing = true
	go s.sendSecond(ctx, a)
}

// sendSecond sends a GET a second time, on a new connection.
func (s *silence) sendSecond(ctx context.Context, a *attempt) {
	closeIdle(s.base)
	resp, err := s.base.RoundTrip(a.req.WithContext(ctx))
	a.mu.Lock()
	dead := err == nil && !a.ended
	if dead {
		resp.Body = &secondBody{resp.Body, a.stopProbe}
		a.second = resp
	}
	a.mu.Unlock()
	if !dead {
		a.stopProbe()
		if err == nil {
			_ = resp.Body.Close() // the first was answered before
		}
	}
	s.mu.Lock()
	s.probing = false
	if dead {
		for other := range s.waiting {
			if other != a {
				other.mu.Lock()
				other.again = true
				other.mu.Unlock()
				other.cancel()
			}
		}
		clear(s.waiting)
	} else {
		s.notUntil = time.Now().Add(secondsPause)
	}
	s.mu.Unlock()
	close(a.probe)
	if dead {
		closeIdle(s.base)
		a.cancel() // the first request
	}
}

func (s *silence) forget(a *attempt) {
	a.mu.Lock()
	timed := a.timer != nil
	a.mu.Unlock()
	if !timed {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, a)
}

// timedOut closes the pool's idle connections where a request timed out on one that was used before: the others may be
// as dead.
func (a *attempt) timedOut(err error) {
	if !errors.Is(err, context.DeadlineExceeded) {
		return
	}
	a.mu.Lock()
	reused := a.reused
	a.mu.Unlock()
	if reused {
		closeIdle(a.silence.base)
	}
}

// used says whether a connection was had that had been used before, or that was had in time and gave no answer in time:
// its failure says nothing of new ones.
func (a *attempt) used() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.connected && (a.reused || a.req.Context().Err() != nil)
}

func closeIdle(rt http.RoundTripper) {
	if c, ok := rt.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// attemptBody is an answer's body.
type attemptBody struct {
	io.ReadCloser
	attempt *attempt
}

func (b *attemptBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.attempt.timedOut(err)
	}
	return n, err //nolint:wrapcheck // as io.Reader's
}

func (b *attemptBody) Close() error {
	defer b.attempt.cancel()
	return b.ReadCloser.Close()
}

// secondBody is the body of an answer to a second request.
type secondBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *secondBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
