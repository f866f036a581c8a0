package scalar

import (
	"errors"
	"fmt"
	"io"

	"github.com/consoleql/consoleql/internal/fault"
)

// Upload is a file sent with an operation by the GraphQL multipart request specification. It
// is not stored: reading it reads the request.
type Upload struct {
	// Name is the name of the file in the request's map.
	Name string
	// AtMost bounds the file's length in bytes, if the request has a Content-Length; else -1.
	AtMost int64
	// Open returns the file's content, once. Files must be read in the order in which the
	// request contains them.
	Open func() (File, error)
}

// File is the content of an Upload. Reading it reads the request.
type File interface {
	io.Reader
	// Declare sets the length of the file in bytes, as the caller states it. It fails if the
	// form contradicts it. Afterwards, a file of another length is an ErrLength.
	Declare(size int64) error
	// Length returns the length of the file in bytes, if it is certain, else -1. It reads some
	// of the file in advance, and may fail with ErrRead.
	Length() (int64, error)
	// Expect returns the length in bytes that the Content-Length of the request implies if the
	// form ends with the file, else -1. Afterwards, a file of another length is an ErrLength.
	Expect() int64
	// Err returns the first error of reading the file, or nil. A body that breaks off also
	// cancels the request, so that a sender may see only the cancellation.
	Err() error
}

// UnmarshalGQL accepts the value that the multipart transport has put among the variables.
func (u *Upload) UnmarshalGQL(v any) error {
	file, ok := v.(Upload)
	if !ok {
		return fault.BadInput("", "is no file: send it by the GraphQL multipart request specification")
	}
	*u = file
	return nil
}

// MarshalGQL writes null, since a file is never part of an answer.
func (Upload) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, "null") }

// ErrRead marks an error of reading a file from the client.
var ErrRead = errors.New("the file could not be read from the client")

// ErrLength is the ErrRead of a file whose length differs from the expected one.
var ErrLength = fmt.Errorf("%w: its length is not the one that input.size, the part's Content-Length or, for a form that ends with the file and a line break, the request's Content-Length says", ErrRead)
