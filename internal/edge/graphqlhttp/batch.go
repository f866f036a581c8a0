package graphqlhttp

import (
	"bytes"
	"net/http"

	"github.com/99designs/gqlgen/graphql"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/fault"
)

// maxBatchErrors bounds the errors that answer an array of operations.
const maxBatchErrors = 100

// batchError refuses a JSON array of operations. Clients that send one, such as Apollo's
// BatchHttpLink, expect an array of as many results.
type batchError struct {
	fault      *fault.Error
	operations int // at most maxBatchErrors
}

// Error describes the refusal.
func (e *batchError) Error() string { return e.fault.Error() }

// Unwrap returns the fault.
func (e *batchError) Unwrap() error { return e.fault }

// checkBatch returns a *batchError if the text is an array of objects.
func checkBatch(text []byte) error {
	if !bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("[")) {
		return nil
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true))
	_, _ = dec.ReadToken() // it is the bracket
	n := 0
	for ; n < maxBatchErrors && dec.PeekKind() == '{'; n++ {
		if err := dec.SkipValue(); err != nil {
			return nil //nolint:nilerr // ReadMembers refuses the text
		}
	}
	if n == 0 || n < maxBatchErrors && dec.PeekKind() != ']' {
		return nil
	}
	return &batchError{fault.BadInput("", "operations are not sent together: send each in a request of its own"), n}
}

// writeBatchError answers an array of operations by an array of errors.
func writeBatchError(w http.ResponseWriter, r *http.Request, err *batchError) {
	if refused := RefusalOf(r.Context()); refused != nil {
		RefuseCredentials(w, r, refused)
		return
	}
	accesslog.FromContext(r.Context()).Refused(string(err.fault.Code))
	one, encodeErr := EncodeResponse(&graphql.Response{Errors: gqlerror.List{apierror.RefusalOf(err.fault)}})
	if encodeErr != nil {
		WriteError(w, r, http.StatusBadRequest, err.fault) // an error has no data that cannot be encoded
		return
	}
	w.Header().Set("Content-Type", AnswerType(r)+InUTF8)
	w.WriteHeader(http.StatusBadRequest)
	body := bytes.Repeat(append(one, ','), err.operations)
	body[len(body)-1] = ']'
	_, _ = w.Write(append([]byte{'['}, body...)) // the client may have left
}
