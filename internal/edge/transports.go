package edge

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/fault"
)

// options is gqlgen's transport but for HEAD, which it refuses without saying what is allowed.
type options struct{ transport.Options }

// Supports takes OPTIONS.
func (options) Supports(r *http.Request) bool { return r.Method == http.MethodOptions }

// get is gqlgen's transport, whose own refusals of a request carry no code.
type get struct{ transport.GET }

// Do answers a GET, or refuses its query string.
func (g get) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		writeError(w, http.StatusBadRequest, fault.BadInput("", "the query string cannot be decoded"))
		return
	}
	for _, name := range []string{"variables", "extensions"} {
		var object map[string]any
		if v := values.Get(name); v != "" && json.Unmarshal([]byte(v), &object) != nil {
			writeError(w, http.StatusBadRequest, fault.BadInput(name, "is not a JSON object"))
			return
		}
	}
	g.GET.Do(&coded{ResponseWriter: w}, r, exec)
}

// post is gqlgen's transport, which says 200 where the body could not be read.
type post struct{ transport.POST }

// Do answers a POST, or refuses its body.
func (p post) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	body := &noted{ReadCloser: r.Body}
	again := *r
	again.Body = body
	p.POST.Do(&unread{ResponseWriter: w, body: body}, &again, exec)
}

// noted is a body that keeps why it could not be read.
type noted struct {
	io.ReadCloser
	err error
}

// Read reads on.
func (b *noted) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// unread writes a refusal in the place of what is answered to a body that could not be read.
type unread struct {
	http.ResponseWriter
	body    *noted
	refused bool
}

// Write passes on what answers a body that could be read.
func (w *unread) Write(p []byte) (int, error) {
	if w.body.err == nil {
		return w.ResponseWriter.Write(p)
	}
	if !w.refused {
		w.refused = true
		refuseBody(w.ResponseWriter, w.body.err)
	}
	return len(p), nil
}

// refuseBody answers a body that could not be read, or holds no operation.
func refuseBody(w http.ResponseWriter, err error) {
	var large *http.MaxBytesError
	var told *fault.Error
	switch {
	case errors.As(err, &large):
		writeError(w, http.StatusRequestEntityTooLarge, fault.BadInput("", "the request body has more than the %d bytes that are taken", large.Limit))
	case errors.As(err, &told):
		writeError(w, http.StatusBadRequest, told)
	default:
		writeError(w, http.StatusBadRequest, fault.BadInput("", "the request body cannot be read to its end"))
	}
}

// Unwrap lets http.ResponseController reach the real writer.
func (w *unread) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// coded gives the one refusal that gqlgen writes past the error presenter a code.
type coded struct {
	http.ResponseWriter
	refused bool
}

// WriteHeader answers the refusal of what is no query itself.
func (w *coded) WriteHeader(status int) {
	if status == http.StatusNotAcceptable {
		w.refused = true
		w.Header().Set("Allow", "POST")
		writeError(w.ResponseWriter, http.StatusMethodNotAllowed, fault.BadInput("query", "holds no query: send mutations by POST"))
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write passes on what is no refusal.
func (w *coded) Write(p []byte) (int, error) {
	if w.refused {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the real writer.
func (w *coded) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// otherwise refuses what no other transport takes.
type otherwise struct{}

// Supports is true: it comes last.
func (otherwise) Supports(*http.Request) bool { return true }

// Do refuses the request.
func (otherwise) Do(w http.ResponseWriter, r *http.Request, _ graphql.GraphExecutor) {
	if r.Method == http.MethodPost {
		writeError(w, http.StatusUnsupportedMediaType, fault.BadInput("", "send the operation as Content-Type: application/json"))
		return
	}
	w.Header().Set("Allow", "OPTIONS, GET, POST")
	writeError(w, http.StatusMethodNotAllowed, fault.BadInput("", "send the operation by POST or GET"))
}

// persistedQueries is gqlgen's extension, most of whose refusals carry no code.
type persistedQueries struct {
	extension.AutomaticPersistedQuery
}

// MutateOperationParameters puts the text in the place of its hash.
func (p persistedQueries) MutateOperationParameters(ctx context.Context, params *graphql.RawParams) *gqlerror.Error {
	err := p.AutomaticPersistedQuery.MutateOperationParameters(ctx, params)
	if err != nil && err.Extensions["code"] == nil {
		err.Extensions = map[string]any{"code": string(fault.BadUserInput)}
	}
	return err
}
