package scalar

import (
	"errors"
	"fmt"
	"io"

	"github.com/consoleql/consoleql/internal/fault"
)

// Upload is a file sent with an operation by the GraphQL multipart request
// specification. It is not held anywhere: reading it reads the request.
type Upload struct {
	// Filename is what the client calls the file; it is not to be trusted.
	Filename string
	// AtMost bounds the file's length in bytes where the request says how long it is itself, else -1.
	AtMost int64
	// Open gives the file's content, once. Files are read in the order in which the request
	// holds them.
	Open func() (File, error)
}

// File is the content of an Upload, read while the client sends it.
type File interface {
	io.Reader
	// Declare says how many bytes the file has, by the caller's word. It fails where the form
	// says otherwise or cannot hold as many. From then on a file of another length is an ErrLength.
	Declare(size int64) error
	// Length is how many bytes the file has, where that is certain, else -1. It reads some of
	// the file ahead, and fails with ErrRead.
	Length() (int64, error)
	// Expect is how many bytes the file has if the form ends with it, by the Content-Length of
	// the request; -1 where that is not known. From then on a file of another length is an ErrLength.
	Expect() int64
	// Err is why the file could not be read; nil if it could so far. Whoever passes the file on
	// may have been told that the request was cancelled, as a body that breaks off does.
	Err() error
}

// UnmarshalGQL takes what the multipart transport has put among the variables.
func (u *Upload) UnmarshalGQL(v any) error {
	file, ok := v.(Upload)
	if !ok {
		return fault.BadInput("", "is no file: send it by the GraphQL multipart request specification")
	}
	*u = file
	return nil
}

// MarshalGQL writes null: a file is never an answer.
func (Upload) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, "null") }

// ErrRead marks an error of reading the file from the client.
var ErrRead = errors.New("the file could not be read from the client")

// ErrLength is an ErrRead of a file that is not as long as its request let expect.
var ErrLength = fmt.Errorf("%w: its length is not the one that input.size, the part's Content-Length or, for a form that ends with the file and a line break, the request's Content-Length says", ErrRead)
