package graphqlhttp

import (
	"bytes"
	"net/http"
)

// Recorder records a response. Unlike httptest.ResponseRecorder, it grows once to the size of an Encoded response.
type Recorder struct {
	header http.Header
	// Status is the status of the response.
	Status int
	// Body is the body of the response.
	Body    bytes.Buffer
	written bool
}

// NewRecorder returns an empty Recorder with the status 200.
func NewRecorder() *Recorder { return &Recorder{header: make(http.Header), Status: http.StatusOK} }

// Header implements http.ResponseWriter.
func (r *Recorder) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *Recorder) WriteHeader(status int) {
	if !r.written {
		r.Status, r.written = status, true
	}
}

// Grow makes room for the whole body.
func (r *Recorder) Grow(bytes int) { r.Body.Grow(bytes) }

// Write implements http.ResponseWriter.
func (r *Recorder) Write(p []byte) (int, error) {
	r.written = true
	return r.Body.Write(p)
}
