// Package jsonobject reads the members of a JSON object one by one, without a map of them.
package jsonobject

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

var (
	// ErrNotObject is the error of a text that does not begin with a JSON object.
	ErrNotObject = errors.New("jsonobject: the text is not a JSON object")
	// ErrTrailing is the error of a text that goes on after its object.
	ErrTrailing = errors.New("jsonobject: text follows the JSON object")
)

// SyntaxError is the error of a text that is no JSON. Members returns the errors of its callback without this type.
type SyntaxError struct{ Err error }

// Error returns the text of the decoder's error.
func (e *SyntaxError) Error() string { return e.Err.Error() }

// Unwrap returns the decoder's error.
func (e *SyntaxError) Unwrap() error { return e.Err }

// Members parses text as one JSON object (RFC 8259), and calls each with its members in their order. The value is valid until
// each returns. Names may be repeated: each decides about that, because a set of all names needs more memory than the
// text. Members fails with ErrNotObject, ErrTrailing, a *SyntaxError or the first error of each.
func Members(text []byte, each func(name string, value jsontext.Value) error, options ...jsontext.Options) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(text), append(options, jsontext.AllowDuplicateNames(true))...)
	if begin, err := dec.ReadToken(); err != nil || begin.Kind() != '{' {
		return ErrNotObject
	}
	for dec.PeekKind() != '}' {
		token, err := dec.ReadToken()
		if err != nil {
			return &SyntaxError{err}
		}
		name := token.String()
		value, err := dec.ReadValue()
		if err != nil {
			return &SyntaxError{err}
		}
		if err := each(name, value); err != nil {
			return err
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return &SyntaxError{err}
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return ErrTrailing
	}
	return nil
}
