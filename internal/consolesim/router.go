package consolesim

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	jsonType    = "application/json; charset=utf-8"
	maxJSONBody = 16 << 20
)

// need lists what a request must have before its handler is called.
type need int

const (
	needNothing need = iota
	needToken
	needCompany
	needDepartment
)

// handlerFunc executes an operation. Its error is a *problem or an *oauthError.
type handlerFunc func(*call) (reply, error)

// route is one operation.
type route struct {
	method    string
	operation string // its key in Counts
	segments  []string
	need      need
	json      bool // needs a JSON body, else 415
	stream    bool // reads its body itself
	handle    handlerFunc
}

// on declares an operation by the document's path, e.g. "GET /openapi/queues/{queueId}".
func on(operation string, n need, h handlerFunc) *route {
	method, path, _ := strings.Cut(operation, " ")
	return &route{
		method: method, operation: operation, segments: strings.Split(strings.ToLower(path[1:]), "/"), need: n, handle: h,
		json: method == http.MethodPost || method == http.MethodPatch,
	}
}

// match returns the operation of a request, with lower-case path parameters. Paths are
// case-insensitive. allowed lists the methods of other operations on the same path.
func match(routes []*route, method, path string) (found *route, params, allowed []string) {
	segments := strings.Split(strings.ToLower(strings.Trim(path, "/")), "/")
	for _, rt := range routes {
		if len(rt.segments) != len(segments) {
			continue
		}
		ok, args := true, []string(nil)
		for i, want := range rt.segments {
			if want[0] == '{' {
				args = append(args, segments[i])
			} else if want != segments[i] {
				ok = false
				break
			}
		}
		switch {
		case ok && rt.method == method:
			return rt, args, nil
		case ok:
			allowed = append(allowed, rt.method)
		}
	}
	return nil, nil, allowed
}

// call is a request for a handler.
type call struct {
	s       *Server
	st      *store
	r       *http.Request
	entry   *Request
	params  []string
	body    []byte
	user    *User
	company *Company
	dept    *Department
}

func (c *call) ctx() context.Context { return c.r.Context() }
func (c *call) now() time.Time       { return c.s.opts.Now() }

func (c *call) encoder() *encoder {
	return &encoder{d: c.s.opts.Dialect, unknown: c.s.opts.UnknownEnums}
}

// guid returns path parameter i, which has to be a GUID.
func (c *call) guid(i int) (string, error) {
	if !isGUID(c.params[i]) {
		return "", badRequest("The value '%s' is not a valid GUID.", clip(c.params[i]))
	}
	return c.params[i], nil
}

// reply is an answer.
type reply struct {
	status      int
	contentType string
	header      http.Header
	body        []byte
}

func okJSON(b []byte) reply {
	return reply{status: http.StatusOK, contentType: jsonType, body: b}
}

// handler serves the routes of one listener.
func (s *Server) handler(routes []*route, latency time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rt, params, allowed := match(routes, r.Method, r.URL.Path)
		operation := "unknown"
		if rt != nil {
			operation = rt.operation
		}
		c := &call{s: s, st: s.st, r: r, params: params, entry: s.log.begin(operation, r)}
		status := 0
		defer func() {
			s.opts.Logger.Debug("console request", "operation", operation, "status", status,
				"duration", time.Since(c.entry.Start))
		}()
		if err := c.readBody(rt); err != nil {
			s.log.finish(c.entry, 0)
			panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's way to drop a connection; the client went away while sending
		}
		fault := s.faults.pick(r, c.body)
		if fault != nil {
			sleep(c.ctx(), fault.Delay)
		} else {
			fault = &Fault{}
		}
		sleep(c.ctx(), latency)

		var out reply
		if fault.After || !fault.replaces() && !fault.Drop {
			out = s.answer(c, rt, allowed).inDialect(s.opts.Dialect, operation)
		}
		if fault.replaces() {
			out = fault.reply(s.opts.Dialect, r.URL.Path)
		}
		if fault.Drop {
			s.log.finish(c.entry, 0)
			panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's way to drop a connection
		}
		if fault.Raw != "" {
			s.log.finish(c.entry, 0)
			sendRaw(w, fault.Raw)
			return
		}
		status = out.status
		s.log.finish(c.entry, status)
		w.Header().Set("Date", c.now().UTC().Format(http.TimeFormat)) // the clock of the robots' heartbeats
		out.write(c.ctx(), w, fault)
	})
}

// readBody reads the body, so that faults can match on it, unless the operation streams it.
func (c *call) readBody(rt *route) error {
	if rt == nil || rt.stream || c.r.Body == http.NoBody {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(c.r.Body, maxJSONBody))
	if err != nil {
		return err
	}
	c.body = b
	c.s.log.body(c.entry, b)
	return nil
}

// answer applies the common rules and calls the operation's handler.
func (s *Server) answer(c *call, rt *route, allowed []string) reply {
	out, err := func() (reply, error) {
		if rt == nil && allowed != nil {
			p := problemf(http.StatusMethodNotAllowed, "The method %s is not allowed here.", c.r.Method)
			p.header = http.Header{"Allow": {strings.Join(allowed, ", ")}}
			return reply{}, p
		}
		if rt == nil {
			return reply{}, problemf(http.StatusNotFound, "There is no such resource.")
		}
		if err := s.authorize(c, rt.need); err != nil {
			return reply{}, err
		}
		if rt.json && rt.need != needNothing && !hasJSONBody(c.r, c.body) {
			return reply{}, problemf(http.StatusUnsupportedMediaType, "A JSON body is required, at least {}.")
		}
		return rt.handle(c)
	}()
	if err == nil {
		return out
	}
	if p, ok := errors.AsType[*problem](err); ok {
		return p.reply(s.opts.Dialect, c.r.URL.Path)
	}
	if o, ok := errors.AsType[*oauthError](err); ok {
		return o.reply()
	}
	return problemf(http.StatusInternalServerError, "%v", err).reply(s.opts.Dialect, c.r.URL.Path)
}

func hasJSONBody(r *http.Request, body []byte) bool {
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(media), "application/json") && len(body) > 0
}

// write sends the answer, with the fault of its body.
func (r reply) write(ctx context.Context, w http.ResponseWriter, f *Fault) {
	h := w.Header()
	for k, v := range r.header {
		h[http.CanonicalHeaderKey(k)] = v
	}
	if len(r.body) > 0 {
		h.Set("Content-Type", r.contentType)
	}
	if r.status != http.StatusNoContent && !f.Endless {
		h.Set("Content-Length", strconv.Itoa(len(r.body)))
	}
	w.WriteHeader(r.status)
	switch {
	case f.Endless:
		writeEndless(ctx, w)
	case f.Drip > 0:
		for i := 0; i < len(r.body) && ctx.Err() == nil; i++ {
			sleep(ctx, f.Drip)
			_, _ = w.Write(r.body[i : i+1]) // the client may have left
			_ = http.NewResponseController(w).Flush()
		}
	case f.Truncate:
		_, _ = w.Write(r.body[:len(r.body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's way to drop a connection
	default:
		_, _ = w.Write(r.body) // the client may have left
	}
}

// writeEndless sends a list of entities until the client leaves.
func writeEndless(ctx context.Context, w io.Writer) {
	entities := bytes.Repeat([]byte(`{"id":"00000000-0000-4000-8000-000000000000","name":"endless"},`), 512)
	_, err := io.WriteString(w, `{"count":1,"list":[`)
	for err == nil && ctx.Err() == nil {
		_, err = w.Write(entities)
	}
}

// isGUID accepts 8-4-4-4-12 hexadecimal digits.
func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !strings.ContainsRune("0123456789abcdefABCDEF", rune(c)) {
				return false
			}
		}
	}
	return true
}

// clip shortens a text for an error message.
func clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "")
	}
	return s
}
