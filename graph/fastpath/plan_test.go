package fastpath

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/loader"
)

// The prototype of an execution of our own, which docs/performance.md compares
// with gqlgen's. A selection is compiled once per document into shapes; a shape is
// executed level by level, each field for all parents at once, and then written
// into one buffer. What it cannot do is left to gqlgen.

// errNoPlan says that an operation, or what the console answers to it, is for gqlgen.
var errNoPlan = errors.New("not for the fast path")

// fastPath answers the operations that it has a plan for, in the place of the
// schema that gqlgen generated, and leaves to that whatever else there is.
type fastPath struct {
	graphql.ExecutableSchema
	source   func(context.Context) source
	plans    sync.Map // *ast.OperationDefinition to *plan, nil for none; to be kept with the document's place in the query cache
	left     atomic.Int64
	compiled atomic.Int64
}

// plan is a compiled operation.
type plan struct{ root shape[query] }

// query stands for the type Query, whose fields have no object to be read of.
type query struct{}

// Exec implements graphql.ExecutableSchema.
func (p *fastPath) Exec(ctx context.Context) graphql.ResponseHandler {
	plan := p.planFor(graphql.GetOperationContext(ctx))
	if plan == nil {
		p.left.Add(1)
		return p.ExecutableSchema.Exec(ctx)
	}
	answered := false
	return func(ctx context.Context) *graphql.Response {
		if answered {
			return nil
		}
		answered = true
		out := bufferIn(ctx)
		if err := plan.run(p.source(ctx), out); err != nil {
			p.left.Add(1) // gqlgen tells what is wrong, and where
			return p.ExecutableSchema.Exec(ctx)(ctx)
		}
		return &graphql.Response{Data: out.Bytes()}
	}
}

// planFor is the plan of an operation, nil where there is none. Variables may decide
// what is selected: a document that has some is compiled each time.
func (p *fastPath) planFor(op *graphql.OperationContext) *plan {
	if known, ok := p.plans.Load(op.Operation); ok {
		return known.(*plan)
	}
	p.compiled.Add(1)
	plan := compilePlan(op)
	if len(op.Operation.VariableDefinitions) == 0 {
		p.plans.Store(op.Operation, plan)
	}
	return plan
}

func compilePlan(op *graphql.OperationContext) *plan {
	if op.Operation.Operation != ast.Query {
		return nil
	}
	c := compiler{op: op}
	root := c.query(op.Operation.SelectionSet)
	if c.impossible {
		return nil
	}
	return &plan{root}
}

func (p *plan) run(s source, out *bytes.Buffer) error {
	top := level[query]{shape: &p.root, objects: []*query{{}}}
	for columns := top.open(); len(columns) > 0; {
		for _, c := range columns {
			c.ask(s)
		}
		var next []column
		for _, c := range columns {
			below, err := c.wait()
			if err != nil {
				return err
			}
			next = append(next, below...)
		}
		columns = next
	}
	top.write(out, 0)
	return nil
}

// shape is a selection on the object type of which T holds the data.
type shape[T any] []field[T]

// field is one selected field: plain data, or what leads to other objects.
type field[T any] struct {
	key    string // with quotes and colon
	plain  func(out *bytes.Buffer, v *T)
	column func(parents []*T) column
}

// level is a shape with all objects that it stands on.
type level[T any] struct {
	shape   *shape[T]
	objects []*T
	columns []column // in the order of the shape's fields that lead on
}

// column is a field that leads on, for all parents of a level.
type column interface {
	ask(s source)                    // begins to ask for all parents
	wait() ([]column, error)         // gives the columns of the next level
	write(out *bytes.Buffer, at int) // writes what is of one parent
}

func (l *level[T]) open() []column {
	for _, f := range *l.shape {
		if f.column != nil {
			l.columns = append(l.columns, f.column(l.objects))
		}
	}
	return l.columns
}

func (l *level[T]) write(out *bytes.Buffer, at int) {
	out.WriteByte('{')
	column := 0
	for i, f := range *l.shape {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString(f.key)
		if f.plain != nil {
			f.plain(out, l.objects[at])
			continue
		}
		l.columns[column].write(out, at)
		column++
	}
	out.WriteByte('}')
}

// children are the objects that a field leads to: those of all parents, one parent
// after the other, and where those of each begin and end.
type children[C any] struct {
	all   []*C
	spans []span
}

// span is a stretch of children; one of null is negative.
type span struct{ from, to int }

func (c *children[C]) one(v *C) {
	if v == nil {
		c.spans = append(c.spans, span{-1, -1})
		return
	}
	c.all = append(c.all, v)
	c.spans = append(c.spans, span{len(c.all) - 1, len(c.all)})
}

func (c *children[C]) many(vs []*C) {
	from := len(c.all)
	c.all = append(c.all, vs...)
	c.spans = append(c.spans, span{from, len(c.all)})
}

// question asks a source for the children of all parents.
type question[P, C any] func(s source, parents []*P) loader.Thunk[children[C]]

// relation is the column of a field that leads to objects.
type relation[P, C any] struct {
	parents  []*P
	question question[P, C]
	list     bool
	answer   loader.Thunk[children[C]]
	below    level[C]
	spans    []span
}

func (r *relation[P, C]) ask(s source) { r.answer = r.question(s, r.parents) }

func (r *relation[P, C]) wait() ([]column, error) {
	found, err := r.answer()
	if err != nil {
		return nil, err
	}
	r.below.objects, r.spans = found.all, found.spans
	return r.below.open(), nil
}

func (r *relation[P, C]) write(out *bytes.Buffer, at int) {
	s := r.spans[at]
	if s.from < 0 {
		out.WriteString("null")
		return
	}
	if !r.list {
		r.below.write(out, s.from)
		return
	}
	out.WriteByte('[')
	for i := s.from; i < s.to; i++ {
		if i > s.from {
			out.WriteByte(',')
		}
		r.below.write(out, i)
	}
	out.WriteByte(']')
}

// plain is a field of which the bound type writes itself.
func plain[T any, V graphql.Marshaler](get func(*T) V) field[T] {
	return field[T]{plain: func(out *bytes.Buffer, v *T) { get(v).MarshalGQL(out) }}
}

func text[T any](get func(*T) string) field[T] {
	return field[T]{plain: func(out *bytes.Buffer, v *T) { writeText(out, get(v)) }}
}

func optionalText[T any](get func(*T) *string) field[T] {
	return field[T]{plain: func(out *bytes.Buffer, v *T) {
		if s := get(v); s != nil {
			writeText(out, *s)
		} else {
			out.WriteString("null")
		}
	}}
}

func leadsTo[P, C any](below shape[C], list bool, q question[P, C]) field[P] {
	return field[P]{column: func(parents []*P) column {
		return &relation[P, C]{parents: parents, question: q, list: list, below: level[C]{shape: &below}}
	}}
}

// writeText writes a JSON text as gqlgen does.
func writeText(out *bytes.Buffer, s string) {
	const hex = "0123456789ABCDEF"
	out.WriteByte('"')
	written := 0
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		out.WriteString(s[written:i])
		written = i + 1
		switch c {
		case '"', '\\':
			out.Write([]byte{'\\', c})
		case '\n':
			out.WriteString(`\n`)
		case '\r':
			out.WriteString(`\r`)
		case '\t':
			out.WriteString(`\t`)
		default:
			out.Write([]byte{'\\', 'u', '0', '0', hex[c>>4], hex[c&15]})
		}
	}
	out.WriteString(s[written:])
	out.WriteByte('"')
}

type bufferKey struct{}

// bufferIn is the buffer that the transport writes from; a new one where it has none.
func bufferIn(ctx context.Context) *bytes.Buffer {
	if out, ok := ctx.Value(bufferKey{}).(*bytes.Buffer); ok {
		return out
	}
	return &bytes.Buffer{}
}
