package consoleclient

import (
	"bytes"
	"io"
	"math"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/fault"
)

// content is the body of a request.
type content struct {
	size      int64 // -1: unknown
	mediaType string
	body      func() io.Reader // returns a reader of the whole body, nil for none; nil itself if the body cannot be sent again
}

// rewindable is a file that can be read at any offset, even while an earlier request still reads it.
type rewindable interface {
	io.ReaderAt
	io.Seeker
}

// content returns the request's body.
func (r request) content(method string) (*content, error) {
	switch {
	case r.file != nil:
		return fileContent(r.file, r.size), nil
	case method == http.MethodGet:
		return &content{body: func() io.Reader { return nil }}, nil
	}
	encoded := []byte("{}")
	if r.body != nil {
		var err error
		if encoded, err = json.Marshal(r.body, jsontext.AllowInvalidUTF8(true)); err != nil {
			return nil, fault.BadInput("input", "cannot be sent: %w", err)
		}
	}
	return &content{
		size: int64(len(encoded)), mediaType: "application/json",
		body: func() io.Reader { return bytes.NewReader(encoded) },
	}, nil
}

// fileContent returns a file as a body. A stream can be sent only once.
func fileContent(file io.Reader, size int64) *content {
	c := &content{size: size, mediaType: octetStream}
	if whole, ok := file.(rewindable); ok && size >= 0 {
		if start, err := whole.Seek(0, io.SeekCurrent); err == nil {
			c.body = func() io.Reader { return io.NewSectionReader(whole, start, math.MaxInt64-start) }
			return c
		}
	}
	c.body = func() io.Reader {
		c.body = nil
		return file
	}
	return c
}
