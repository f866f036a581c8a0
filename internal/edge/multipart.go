package edge

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/graph/scalar"
	"github.com/consoleql/consoleql/internal/fault"
)

// uploads is the transport of the GraphQL multipart request specification.
//
// gqlgen's own reads a request without Content-Length whole into memory, spools
// larger files to disk, and hands out a seekable copy of each. Here the
// operation begins as soon as its own two parts have come, and a file is read
// from the request while it is passed on: neither memory nor disk holds it. The
// price is that the files come in the order in which the operation uses them,
// which is the order in which the specification has clients send them.
type uploads struct{ limits Limits }

const (
	// maxMapBytes bounds the part that says which file is which variable.
	maxMapBytes = 64 << 10
	// maxFrameBytes bounds what is around the parts before the first file, their headers and its own.
	maxFrameBytes = 64 << 10
)

// Supports takes POST with a multipart form.
func (uploads) Supports(r *http.Request) bool {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && r.Method == http.MethodPost && media == "multipart/form-data"
}

// Do reads the operation, executes it while its files come, and answers.
func (u uploads) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	form, err := newForm(r, u.limits.BodyBytes+maxMapBytes+maxFrameBytes)
	if err != nil {
		writeError(w, r, http.StatusBadRequest, err)
		return
	}
	params, err := u.params(form, r)
	if err != nil {
		writeError(w, r, http.StatusBadRequest, err)
		return
	}
	media := answerType(r)
	w.Header().Set("Content-Type", media+inUTF8)
	ctx := r.Context()
	op, errs := exec.CreateOperationContext(ctx, params)
	if errs != nil {
		status := http.StatusUnprocessableEntity
		if media == typeGraphQLResponse {
			status = http.StatusBadRequest
		}
		w.WriteHeader(status)
		writeResponse(w, exec.DispatchError(graphql.WithOperationContext(ctx, op), errs))
		return
	}
	responses, ctx := exec.DispatchOperation(ctx, op)
	writeResponse(w, orCancelled(responses(ctx)))
}

// params reads the parts `operations` and `map` and puts a file, still to come,
// in the place of each variable that the map names.
func (u uploads) params(form *form, r *http.Request) (*graphql.RawParams, error) {
	start := graphql.Now()
	params := &graphql.RawParams{Headers: r.Header}
	if err := readPart(form.Reader, "operations", u.limits.BodyBytes, params); err != nil {
		return nil, err
	}
	var places map[string][]string
	if err := readPart(form.Reader, "map", maxMapBytes, &places); err != nil {
		return nil, err
	}
	if len(places) == 0 {
		return nil, fault.BadInput("map", "names no file")
	}
	form.files = make(map[string]bool, len(places))
	for name, paths := range places {
		form.files[name] = true
		if len(paths) != 1 {
			return nil, fault.BadInput("map", "file %q has to stand for one variable", name)
		}
		path, ok := strings.CutPrefix(paths[0], "variables.")
		if !ok || !place(params.Variables, strings.Split(path, "."), form.upload(name)) {
			return nil, fault.BadInput("map", "%q is no variable that is null", paths[0])
		}
	}
	params.ReadTime = graphql.TraceTiming{Start: start, End: graphql.Now()}
	return params, nil
}

// readPart decodes the next part, which has to have the given name.
func readPart(form *multipart.Reader, name string, limit int64, into any) error {
	part, err := form.NextPart()
	var told *fault.Error
	if errors.As(err, &told) {
		return told
	}
	if err != nil || part.FormName() != name {
		return fault.BadInput(name, "has to come first, before any file")
	}
	raw, err := io.ReadAll(io.LimitReader(part, limit+1))
	switch {
	case err != nil:
		return fault.BadInput(name, "cannot be read")
	case int64(len(raw)) > limit:
		return fault.BadInput(name, "is longer than %d bytes", limit)
	}
	if decode(raw, into) != nil {
		return fault.BadInput(name, "is not the JSON that it has to be")
	}
	return nil
}

// place puts v where the path leads, if null is there now.
func place(at any, path []string, v scalar.Upload) bool {
	for i, name := range path {
		last := i == len(path)-1
		switch holder := at.(type) {
		case map[string]any:
			old, ok := holder[name]
			if last {
				if !ok || old != nil {
					return false
				}
				holder[name] = v
				return true
			}
			at = old
		case []any:
			n, err := strconv.Atoi(name)
			if err != nil || n < 0 || n >= len(holder) {
				return false
			}
			if last {
				if holder[n] != nil {
					return false
				}
				holder[n] = v
				return true
			}
			at = holder[n]
		default:
			return false
		}
	}
	return false
}

// boundFor is how long the body of a request may be.
func (s *server) boundFor(r *http.Request) int64 {
	if (uploads{}).Supports(r) {
		return s.opts.Limits.UploadBytes
	}
	return s.opts.Limits.BodyBytes
}
