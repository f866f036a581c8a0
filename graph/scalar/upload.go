package scalar

import (
	"errors"
	"io"

	"github.com/consoleql/consoleql/internal/fault"
)

// Upload is a file sent with an operation by the GraphQL multipart request
// specification. It is not held anywhere: reading it reads the request.
type Upload struct {
	// Filename is what the client calls the file; it is not to be trusted.
	Filename string
	// Size is the file's length in bytes where the client says it, else -1.
	Size int64
	// AtMost bounds the length where the request says how long it is itself, else -1.
	AtMost int64
	// Open gives the file's content, once. Files are read in the order in which
	// the request holds them.
	Open func() (io.Reader, error)
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
