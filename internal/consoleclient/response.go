package consoleclient

import (
	"bytes"
	"cmp"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/consoleql/consoleql/internal/bytepool"
	"github.com/consoleql/consoleql/internal/fault"
)

// read reads the JSON of a successful response with decode, which may be nil.
func (ex exchange) read(resp *http.Response, body *limitedReader, decode func(*responseReader) error) error {
	if ex.optional || decode == nil {
		return ex.readChange(resp, body, decode)
	}
	var from io.Reader = body
	if isProblem(resp.Header) { // the whole body decides
		raw, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		if responderOf(ex.operation, resp.StatusCode, resp.Header, raw, false).isForeign() {
			return errForeign
		}
		from = bytes.NewReader(raw)
	}
	reader := newResponseReader(from)
	defer reader.free()
	reader.memory = body.memory
	reader.date = dateOf(resp.Header, time.Now())
	if _, err := reader.firstByte(); err != nil {
		return err
	}
	if isHTML(resp.Header) {
		return errForeign
	}
	if err := decode(reader); err != nil {
		return err
	}
	return reader.expectEnd()
}

// readChange is read for a mutation. The mutation succeeded if the console itself wrote the response, even if the
// response holds no entity.
func (ex exchange) readChange(resp *http.Response, body *limitedReader, decode func(*responseReader) error) error {
	raw, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	switch responderOf(ex.operation, resp.StatusCode, resp.Header, raw, false) {
	case fromIntermediary, ambiguousJSON:
		return errForeign
	case fromServerEmpty:
		return nil
	case fromServer:
	}
	if decode == nil {
		return nil
	}
	reader := newResponseReader(bytes.NewReader(raw))
	defer reader.free()
	reader.token = bearerOf(resp)
	if err = decode(reader); isMissingResult(err) {
		return nil
	}
	return err
}

// errForeign reports that an intermediary answered instead of the console.
var errForeign = errors.New("the answer is not the console's own")

// isCorrupt reports whether a body arrived whole but cannot be decompressed.
func isCorrupt(err error) bool {
	return errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.As(err, new(flate.CorruptInputError))
}

// readError returns the error of a successful response that could not be read.
func (c httpClient) readError(ctx context.Context, ex exchange, status int, body *limitedReader, err error) error {
	operation := ex.operation
	switch {
	case errors.Is(err, bytepool.ErrBusy):
		return err
	case body.tooLarge:
		return invalid(operation, status, fmt.Sprintf("the answer is larger than %d bytes", c.maxBytes(ex.class)), nil)
	case isCorrupt(body.err):
		return invalid(operation, status, "the answer is not what its Content-Encoding says", body.err)
	case body.err != nil || errors.Is(err, context.Canceled):
		return connectionError(ctx, operation, status, false, cmp.Or(body.err, err))
	case errors.Is(err, errEmptyList) && ex.byID():
		return &Error{Operation: operation, Status: status, Title: http.StatusText(http.StatusNotFound), Code: fault.NotFound, Err: err}
	case errors.Is(err, io.EOF):
		return invalid(operation, status, "the answer is empty", err)
	case errors.Is(err, errForeign):
		foreign := invalid(operation, status, err.Error(), err)
		foreign.FromIntermediary = true
		if ex.storage {
			foreign.Detail = storageRefusal
		}
		return foreign
	case errors.Is(err, errNotAList), errors.Is(err, errNoEntity), errors.Is(err, errEmptyList), errors.Is(err, errTooMany), errors.Is(err, errNotUTF8), errors.As(err, new(missingIDError)):
		return invalid(operation, status, err.Error(), err)
	}
	return invalid(operation, status, "the answer cannot be decoded", err)
}
