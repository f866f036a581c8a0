// Package sequential executes the lists and objects of generated code in order, one element
// and one field after another.
package sequential

import (
	"bytes"
	"context"
	"io"
	"sync"

	"github.com/99designs/gqlgen/graphql"
)

func element(ctx context.Context, i int, marshal func(ctx context.Context, i int) graphql.Marshaler) (made graphql.Marshaler) {
	defer func() {
		if r := recover(); r != nil {
			graphql.AddError(ctx, graphql.Recover(ctx, r))
			made = graphql.Null
		}
	}()
	return marshal(ctx, i)
}

// FieldSet holds the fields of an object during their execution, like graphql.FieldSet without
// concurrency.
type FieldSet struct {
	fields []graphql.CollectedField
	// Values are the results of the fields, in their order.
	Values []graphql.Marshaler
	// Invalids counts the non-null fields whose result is null.
	Invalids uint32
}

// NewFieldSet returns a set without values.
func NewFieldSet(fields []graphql.CollectedField) *FieldSet {
	return &FieldSet{fields: fields, Values: make([]graphql.Marshaler, len(fields))}
}

// Dispatch does nothing, since no field is deferred.
func (*FieldSet) Dispatch(context.Context) {}

// fewFields is the number of fields up to which names are compared pairwise.
const fewFields = 16

// MarshalGQL writes the object. Of several fields with one response name, it writes the first.
func (s *FieldSet) MarshalGQL(w io.Writer) {
	var written map[string]struct{}
	if len(s.fields) > fewFields {
		written = make(map[string]struct{}, len(s.fields))
	}
	before := `{"`
	for i := range s.fields {
		name := s.fields[i].Alias
		if written == nil {
			if hasAlias(s.fields[:i], name) {
				continue
			}
		} else {
			if _, ok := written[name]; ok {
				continue
			}
			written[name] = struct{}{}
		}
		writeField(w, before, name, s.Values[i])
		before = `,"`
	}
	if before == `{"` {
		_, _ = io.WriteString(w, `{`)
	}
	_, _ = io.WriteString(w, `}`)
}

// writeField writes a name and its value. A name needs no escapes (GraphQL specification,
// section 2.1.9), and gqlgen's writers do not fail.
func writeField(w io.Writer, before, name string, value graphql.Marshaler) {
	limited, ok := w.(*writer)
	if ok {
		limited.field(before, name, value)
		return
	}
	_, _ = io.WriteString(w, before)
	_, _ = io.WriteString(w, name)
	_, _ = io.WriteString(w, `":`)
	value.MarshalGQL(w)
}

func hasAlias(fields []graphql.CollectedField, name string) bool {
	for i := range fields {
		if fields[i].Alias == name {
			return true
		}
	}
	return false
}

// buffers contains unused buffers.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }} //nolint:gochecknoglobals // shares only memory

// maxPooledBuffer bounds the size of buffers that are reused, in bytes.
const maxPooledBuffer = 1 << 20

type buffer = bytes.Buffer

// getBuffer returns an empty buffer. The caller returns it with putBuffer.
func getBuffer() *buffer {
	b := buffers.Get().(*buffer) //nolint:forcetypeassert // see buffers
	b.Reset()
	return b
}

func putBuffer(b *buffer) {
	if b.Cap() <= maxPooledBuffer {
		buffers.Put(b)
	}
}

// Bytes returns the output of m.
func Bytes(m graphql.Marshaler) []byte {
	b := getBuffer()
	defer putBuffer(b)
	m.MarshalGQL(b)
	return bytes.Clone(b.Bytes())
}
