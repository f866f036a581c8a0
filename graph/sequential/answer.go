package sequential

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/slab"
)

// Limits bound one answer. A zero field means no bound.
type Limits struct {
	// Bytes bounds the answer's data, as JSON.
	Bytes int
	// Values bounds its objects, lists and scalars, including nulls.
	Values int
}

// Answer counts the values of one answer while gqlgen builds its tree, before the first byte
// is written. Only the goroutine that executes the operation uses it. A nil Answer has no
// limits.
type Answer struct {
	limits Limits
	// exceed is called when a limit is exceeded, so that loading stops; it may be nil.
	exceed func(error)
	// take takes memory for that many more bytes. It may block, and its error ends the
	// collection; it may be nil.
	take func(bytes int) error

	count, textBytes int // number of values, and least number of bytes of their text
	reserved         int // memory that was taken for them
	err              error
	expected         atomic.Pointer[error] // of Expect; the collection ends with it
	truncated        bool                  // the collected answer is too long to be written
	collected        map[selection][]graphql.CollectedField

	sets   slab.Allocator[FieldSet]
	values slab.Allocator[graphql.Marshaler]
	texts  slab.Allocator[text]
}

// selection identifies a selection set on objects of a type. Slices are the same if their first elements are.
type selection struct {
	first     *ast.Selection
	length    int
	satisfies *string
}

const (
	// MemoryStep is how much the estimated memory of an answer grows until it is taken, in bytes.
	MemoryStep = 64 << 10
	// copies is how many copies of the text of an answer are in memory: in pieces, as a whole,
	// encoded with its errors, and recorded.
	copies = 4
)

// chunk is how many values of an answer are allocated at once, at most. All of them live until the answer is written.
const chunk = 128

// bytesPerValue estimates the memory of a collected value: its place in an object, and its
// marshaler.
const bytesPerValue = 64

// NewAnswer returns an Answer within limits. See Answer for exceed and take.
func NewAnswer(limits Limits, exceed func(error), take func(bytes int) error) *Answer {
	a := &Answer{limits: limits, exceed: exceed, take: take, count: 1}
	a.sets.MaxChunk, a.values.MaxChunk, a.texts.MaxChunk = chunk, chunk, chunk
	return a
}

type answerKey struct{}

// NewContext returns ctx with the answer of its operation or event.
func NewContext(ctx context.Context, a *Answer) context.Context {
	return context.WithValue(ctx, answerKey{}, a)
}

// FromContext returns the answer in ctx, or nil.
func FromContext(ctx context.Context) *Answer {
	a, _ := ctx.Value(answerKey{}).(*Answer)
	return a
}

// Err returns the reason why the collection has ended early, or nil.
func (a *Answer) Err() error {
	if a == nil {
		return nil
	}
	if err := a.expected.Load(); err != nil && a.err == nil {
		a.fail(*err)
	}
	return a.err
}

// Resume allows the next field of a mutation to be executed after Err was reported. The
// collected values still count.
func (a *Answer) Resume() {
	if a != nil && !a.truncated {
		a.err = nil
		a.expected.Store(nil)
	}
}

// Fields returns graphql.CollectFields, which is called once for all objects of a list. Its own cache costs a hash, a
// lock and an allocation for each object.
func (a *Answer) Fields(op *graphql.OperationContext, set ast.SelectionSet, satisfies []string) []graphql.CollectedField {
	if a == nil || len(set) == 0 {
		return graphql.CollectFields(op, set, satisfies)
	}
	key := selection{&set[0], len(set), &satisfies[0]}
	fields, ok := a.collected[key]
	if !ok {
		fields = graphql.CollectFields(op, set, satisfies)
		if a.collected == nil {
			a.collected = make(map[selection][]graphql.CollectedField)
		}
		a.collected[key] = fields
	}
	return fields
}

// FieldSet returns a set for an object's fields, or nil if the answer becomes too large.
func (a *Answer) FieldSet(fields []graphql.CollectedField) *FieldSet {
	if a == nil {
		return NewFieldSet(fields)
	}
	names := 0
	for i := range fields {
		names += len(fields[i].Alias) + len(`"":0,`)
	}
	if !a.collect(len(fields), names) {
		return nil
	}
	set := a.sets.New()
	set.fields, set.Values = fields, a.values.Make(len(fields))
	return set
}

// text is a string of an answer.
type text string

// MarshalGQL writes the string as JSON.
func (t *text) MarshalGQL(w io.Writer) { graphql.MarshalString(string(*t)).MarshalGQL(w) }

// String returns a value that writes a string, like graphql.MarshalString.
func (a *Answer) String(s string) graphql.Marshaler {
	if a == nil {
		return graphql.MarshalString(s)
	}
	t := a.texts.New()
	*t = text(s)
	return t
}

// Array returns a list for length scalars, or nil if the answer becomes too large.
func (a *Answer) Array(length int) graphql.Array {
	if a != nil && !a.collect(length, length*len(`0,`)) {
		return nil
	}
	return make(graphql.Array, length)
}

// Slice marshals the elements of a list like graphql.MarshalSliceConcurrently. marshal
// gets a context whose field context has the element's index. An element that panics becomes
// null, with an error at its path. All elements share the context, which describes an element
// only until its marshal returns. Slice returns nil if the answer becomes too large.
func (a *Answer) Slice(ctx context.Context, length int, marshal func(ctx context.Context, i int) graphql.Marshaler) graphql.Array {
	if a != nil && !a.collect(length, length*len(`0,`)) {
		return nil
	}
	list := make(graphql.Array, length)
	var index int
	ctx = graphql.WithFieldContext(ctx, &graphql.FieldContext{Index: &index})
	for index = range length {
		if list[index] = element(ctx, index, marshal); a != nil && a.err != nil {
			return nil
		}
	}
	return list
}

// collect counts values, and the least number of bytes of their text.
func (a *Answer) collect(values, bytes int) bool {
	if a.Err() != nil {
		return false
	}
	a.count += values
	a.textBytes += bytes
	switch {
	case a.exceeds(a.count):
		a.fail(a.tooMany())
	case a.limits.Bytes > 0 && a.textBytes > a.limits.Bytes:
		a.fail(a.tooLong())
	default:
		a.grow(a.count*bytesPerValue + a.textBytes)
	}
	return a.err == nil
}

func (a *Answer) exceeds(values int) bool { return a.limits.Values > 0 && values > a.limits.Values }

func (a *Answer) tooMany() error {
	return fault.New(fault.QueryTooComplex, "the answer has more than the %d values that one may have: ask for fewer entities (first), for fewer fields, or in several operations", a.limits.Values)
}

// Expect returns an error if the answer will have more values than it may. It takes memory for what is loaded for them,
// in bytes. The error ends the collection. Unlike other methods, it is safe for concurrent use.
func (a *Answer) Expect(values, bytes int) (err error) {
	switch {
	case a == nil:
		return nil
	case a.exceeds(values):
		err = a.tooMany()
	case bytes > 0 && a.take != nil:
		err = a.take(bytes)
	}
	if err != nil {
		a.expected.CompareAndSwap(nil, &err)
	}
	return err
}

func (a *Answer) tooLong() error {
	return fault.New(fault.QueryTooComplex, "the answer has more than the %d bytes that one may have: ask for fewer entities (first), for fewer fields, or in several operations", a.limits.Bytes)
}

func (a *Answer) fail(err error) {
	a.err = err
	if a.exceed != nil {
		a.exceed(err)
	}
}

// grow takes memory for an answer of that many bytes in all.
func (a *Answer) grow(bytes int) {
	more := bytes - a.reserved
	if more < MemoryStep || a.take == nil {
		return
	}
	a.reserved = bytes
	if err := a.take(more); err != nil {
		a.fail(fmt.Errorf("wait for the memory of a large answer: %w", err))
	}
}

// Bytes returns the output of m, or null if the answer is too large.
func (a *Answer) Bytes(m graphql.Marshaler) []byte {
	if a == nil {
		return Bytes(m)
	}
	if a.err != nil {
		return []byte("null")
	}
	w := &writer{answer: a, first: getBuffer()}
	m.MarshalGQL(w) // for a subscription, this call collects the values
	defer putBuffer(w.first)
	if a.err != nil {
		return []byte("null")
	}
	return w.bytes()
}

// writer stores what is written, up to the limit of its answer.
type writer struct {
	answer *Answer
	first  *buffer
	more   []*bytes.Buffer // the rest, in pieces: a growing buffer would be copied each time
	size   int
}

const (
	firstBytes = 1 << 20
	chunkBytes = 1 << 20
)

// Write stores p. If p exceeds the limit, it drops p and fails the answer.
func (w *writer) Write(p []byte) (int, error) {
	if b := w.buffer(len(p)); b != nil {
		return b.Write(p)
	}
	return len(p), nil
}

// WriteString is Write for a string, without a copy. gqlgen writes each name and delimiter as
// a string.
func (w *writer) WriteString(s string) (int, error) {
	if b := w.buffer(len(s)); b != nil {
		return b.WriteString(s)
	}
	return len(s), nil
}

// field writes a field of an object. It counts a scalar after it is written, since gqlgen
// writes a text in many pieces.
func (w *writer) field(before, name string, value graphql.Marshaler) {
	b := w.buffer(len(before) + len(name) + len(`":`))
	if b == nil {
		return
	}
	b.WriteString(before)
	b.WriteString(name)
	b.WriteString(`":`)
	switch value.(type) {
	case *FieldSet, graphql.Array:
		value.MarshalGQL(w)
	default:
		begun := b.Len()
		value.MarshalGQL(b)
		w.count(b.Len() - begun)
	}
}

// buffer returns the buffer for the next size bytes, or nil if the answer is too long.
func (w *writer) buffer(size int) *bytes.Buffer {
	if !w.count(size) {
		return nil
	}
	if w.size <= firstBytes {
		return w.first
	}
	if last := len(w.more) - 1; last >= 0 && w.more[last].Available() >= size {
		return w.more[last]
	}
	b := bytes.NewBuffer(make([]byte, 0, max(chunkBytes, size)))
	w.more = append(w.more, b)
	return b
}

// count counts bytes, and reports whether the answer is still within its limit.
func (w *writer) count(size int) bool {
	a := w.answer
	if a.err != nil {
		return false
	}
	w.size += size
	if a.limits.Bytes > 0 && w.size > a.limits.Bytes {
		a.fail(a.tooLong())
	} else {
		a.grow(a.count*bytesPerValue + copies*w.size)
	}
	if a.err != nil {
		w.more, a.truncated = nil, true
	}
	return a.err == nil
}

func (w *writer) bytes() []byte {
	made := append(make([]byte, 0, w.size), w.first.Bytes()...)
	for i, piece := range w.more {
		made = append(made, piece.Bytes()...)
		w.more[i] = nil
	}
	return made
}
