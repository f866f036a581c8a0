package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/go-json-experiment/json"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/graph/scalar"
	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/textfile"
)

// multipartForm is the transport of the GraphQL multipart request specification. gqlgen's
// transport reads a request without Content-Length into memory, spools large files to disk,
// and copies each file. This one starts the operation as soon as `operations` and `map` are
// read, and streams each file from the request. Neither memory nor disk holds a file. The
// files must therefore come in the order in which the operation uses them, as the
// specification asks of clients.
type multipartForm struct {
	limits    querylimit.Limits
	documents graphqlhttp.DocumentResolver
	log       *slog.Logger
}

const (
	// maxMapBytes bounds the part `map`, which assigns files to variables.
	maxMapBytes = 64 << 10
	// maxFrameBytes bounds the headers and delimiters before the first file.
	maxFrameBytes = 64 << 10
)

// Supports accepts POST with a multipart form.
func (multipartForm) Supports(r *http.Request) bool { return graphqlhttp.IsMultipart(r) }

// Do reads the operation, executes it while its files are received, and writes the answer.
func (u multipartForm) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	form, err := newForm(r, u.limits.BodyBytes+maxMapBytes+maxFrameBytes)
	if err != nil {
		graphqlhttp.WriteError(w, r, http.StatusBadRequest, err)
		return
	}
	params := &graphql.RawParams{Headers: r.Header}
	params.ReadTime.Start = graphql.Now()
	parameters, err := u.parameters(form, graphqlhttp.ReservationOf(r.Context()))
	if err == nil {
		err = parameters.SetQueryString(r.URL.RawQuery)
	}
	if err != nil {
		graphqlhttp.RefuseBody(w, r, err)
		return
	}
	u.documents.Resolve(parameters)
	params.ReadTime.End = graphql.Now()
	media := graphqlhttp.AnswerType(r)
	w.Header().Set("Content-Type", media+graphqlhttp.InUTF8)
	ctx := graphqlhttp.WithParameters(r.Context(), parameters)
	op, errs := exec.CreateOperationContext(ctx, params)
	if errs == nil {
		errs = apierror.NotExecuted(op, orderFiles(op, form, parameters.Files))
	}
	if errs != nil {
		response := exec.DispatchError(graphql.WithOperationContext(ctx, op), errs)
		w.WriteHeader(statusOf(response, statusOfRefusal(errs), media))
		graphqlhttp.WriteResponse(w, response, u.log)
		return
	}
	responses, ctx := exec.DispatchOperation(ctx, op)
	response := graphqlhttp.OrCancelled(responses(ctx))
	w.WriteHeader(statusOf(response, http.StatusOK, media))
	graphqlhttp.WriteResponse(w, response, u.log)
}

// statusOfRefusal returns the status that gqlgen has for a refusal by POST. A map that does not fit the operation is an error
// of the request, as an invalid document is.
func statusOfRefusal(errs gqlerror.List) int {
	misplaced := func(err *gqlerror.Error) bool {
		return err.Extensions["argument"] == "map" && apierror.ExtensionCode(err) == string(fault.BadUserInput)
	}
	if errcode.GetErrorKind(errs) == errcode.KindProtocol || slices.ContainsFunc(errs, misplaced) {
		return http.StatusUnprocessableEntity
	}
	return http.StatusOK
}

// parameters reads the parts `operations` and `map`. The files are read later.
func (u multipartForm) parameters(form *form, reservation *graphqlhttp.Reservation) (*graphqlhttp.Parameters, error) {
	raw, err := readPart(form, "operations", u.limits.BodyBytes, reservation)
	if err != nil {
		return nil, err
	}
	p, err := graphqlhttp.ParseParameters(raw)
	if err != nil {
		var refusal *fault.Error
		if errors.As(err, &refusal) && refusal.Argument == "" {
			return nil, fault.BadInput("operations", "%s", refusal.Message)
		}
		return nil, err
	}
	places, err := readMap(form, reservation)
	if err != nil {
		return nil, err
	}
	form.files = make(map[string]int, len(places))
	p.Files = make(map[string]scalar.Upload, len(places))
	for name, paths := range places {
		form.files[name] = 0
		if len(paths) != 1 {
			return nil, fault.BadInput("map", "file %q has to stand for one variable", graphqlhttp.Truncate(name))
		}
		path, ok := strings.CutPrefix(paths[0], "variables.")
		if _, twice := p.Files[path]; !ok || twice {
			return nil, fault.BadInput("map", "%q is no variable, or one of two files", graphqlhttp.Truncate(paths[0]))
		}
		p.Files[path] = form.upload(name)
	}
	return p, nil
}

// orderFiles determines the order in which a mutation uses its files. It refuses a file that two fields use, since a file
// is read once.
func orderFiles(op *graphql.OperationContext, form *form, files map[string]scalar.Upload) gqlerror.List {
	if op.Operation.Operation != ast.Mutation {
		return nil
	}
	users := make(map[string]string, len(files))
	for _, field := range graphql.CollectFields(op, op.Operation.SelectionSet, []string{"Mutation"}) {
		for _, name := range filesIn(field.Arguments, files) {
			if user, used := users[name]; used {
				return gqlerror.List{apierror.RefusalOf(fault.BadInput("map", "file %q is used by %s and %s: send it once for each of them", graphqlhttp.Truncate(name), user, field.Alias))}
			}
			users[name] = field.Alias
			form.files[name] = len(users)
		}
	}
	return nil
}

// filesIn returns the names of the files in a field's arguments.
func filesIn(arguments ast.ArgumentList, files map[string]scalar.Upload) (names []string) {
	var add func(v *ast.Value)
	add = func(v *ast.Value) {
		for _, child := range v.Children {
			add(child.Value)
		}
		if v.Kind != ast.Variable {
			return
		}
		for _, path := range slices.Sorted(maps.Keys(files)) {
			if variable, _, _ := strings.Cut(path, "."); variable == v.Raw {
				names = append(names, files[path].Name)
			}
		}
	}
	for _, a := range arguments {
		add(a.Value)
	}
	return names
}

// readMap reads the part `map`, which lists for each file the variables that it is the value
// of.
func readMap(form *form, reservation *graphqlhttp.Reservation) (map[string][]string, error) {
	raw, err := readPart(form, "map", maxMapBytes, reservation)
	if err != nil {
		return nil, err
	}
	var places map[string][]string
	switch err := json.Unmarshal(bytes.TrimPrefix(raw, []byte(textfile.ByteOrderMark)), &places); {
	case !utf8.Valid(raw):
		return nil, fault.BadInput("map", "is not encoded in UTF-8")
	case err != nil:
		return nil, fault.BadInput("map", "is no JSON object of lists of paths")
	case len(places) == 0:
		return nil, fault.BadInput("map", "names no file")
	}
	return places, nil
}

// readPart reads the next part that is not an unrelated field. The part must have the given
// name.
func readPart(form *form, name string, limit int64, reservation *graphqlhttp.Reservation) ([]byte, error) {
	part, err := form.NextPart()
	for err == nil && isField(part) {
		part, err = form.NextPart()
	}
	if refusal, ok := errors.AsType[*fault.Error](err); ok {
		return nil, refusal
	}
	if err != nil || part.FormName() != name {
		return nil, fault.BadInput(name, "has to come first, before any file")
	}
	if err := checkTransferEncoding(part); err != nil {
		return nil, err
	}
	if err := graphqlhttp.CheckCharset(part.Header.Get("Content-Type")); err != nil {
		return nil, fmt.Errorf("%w: %w", graphqlhttp.ErrCharset, err)
	}
	raw, err := io.ReadAll(reservation.Reader(io.LimitReader(part, limit+1)))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large), errors.Is(err, graphqlhttp.ErrBusy):
		return nil, err //nolint:wrapcheck // graphqlhttp.RefuseBody describes it
	case err != nil:
		return nil, fault.BadInput(name, "cannot be read")
	case int64(len(raw)) > limit:
		return nil, fault.BadInput(name, "is longer than %d bytes", limit)
	}
	return raw, nil
}
