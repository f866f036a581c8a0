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
	// Open gives the file's content, once, and its length in bytes, -1 where
	// that is not known. Files are read in the order in which the request holds them. A
	// file with a method Err() error says why it could not be read.
	Open func() (file io.Reader, size int64, err error)
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
var ErrLength = fmt.Errorf("%w: the form does not end with the file and a line break, as the request's Content-Length was taken to say", ErrRead)
