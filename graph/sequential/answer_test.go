package sequential_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/sequential"
)

// TestBytesCopiesNoStrings verifies that names and delimiters are written without a copy,
// which would cost an allocation each.
func TestBytesCopiesNoStrings(t *testing.T) {
	list := make(graphql.Array, 1000)
	for i := range list {
		list[i] = graphql.WriterFunc(func(w io.Writer) { _, _ = io.WriteString(w, "true") })
	}
	a := sequential.NewAnswer(sequential.Limits{}, nil, nil)
	if n := testing.AllocsPerRun(20, func() { a.Bytes(list) }); n > 100 {
		t.Errorf("%v allocations for %d values", n, len(list))
	}
}

// TestBytesInPieces verifies that answers of all sizes have the same text, with and without a
// bound.
func TestBytesInPieces(t *testing.T) {
	for _, length := range []int{10, 1 << 10, 1<<20 - 1, 1 << 20, 3 << 20} {
		for _, fields := range []int{1, 3, 40} {
			list := graphql.Array{graphql.MarshalString("begin")}
			for i := range fields {
				set := sequential.NewFieldSet([]graphql.CollectedField{{Field: &ast.Field{Alias: fmt.Sprint("f", i)}}})
				set.Values[0] = graphql.MarshalString(strings.Repeat("a text of thirty-one characters\n", length/fields/32))
				list = append(list, set)
			}
			want := sequential.Bytes(list)
			got := sequential.NewAnswer(sequential.Limits{}, nil, nil).Bytes(list)
			if !bytes.Equal(want, got) {
				t.Errorf("%d fields of %d bytes: %d bytes, want %d", fields, length, len(got), len(want))
			}
			exact := sequential.NewAnswer(sequential.Limits{Bytes: len(want)}, nil, nil)
			if got := exact.Bytes(list); !bytes.Equal(want, got) || exact.Err() != nil {
				t.Errorf("%d fields of %d bytes: refused at its size: %v", fields, length, exact.Err())
			}
			short := sequential.NewAnswer(sequential.Limits{Bytes: len(want) - 1}, nil, nil)
			if got := short.Bytes(list); string(got) != "null" || short.Err() == nil {
				t.Errorf("%d fields of %d bytes: not refused at a byte less", fields, length)
			}
		}
	}
}

func TestStringsAreWrittenAsByGqlgen(t *testing.T) {
	var none *sequential.Answer
	some := sequential.NewAnswer(sequential.Limits{}, nil, nil)
	for _, s := range []string{"", "订单处理", "a\"b\\c\n\t\r\x00\x1f", "\xff", "\u2028", strings.Repeat("x", 1<<12)} {
		want := string(sequential.Bytes(graphql.MarshalString(s)))
		for name, a := range map[string]*sequential.Answer{"without limits": none, "counted": some} {
			if got := string(sequential.Bytes(a.String(s))); got != want {
				t.Errorf("%s: %q is written as %s, want %s", name, s, got, want)
			}
		}
	}
}

func TestObjectsOfAListShareAllocations(t *testing.T) {
	op := &graphql.OperationContext{}
	set := ast.SelectionSet{&ast.Field{Name: "id", Alias: "id"}, &ast.Field{Name: "name", Alias: "name"}}
	types := []string{"Robot"}
	const objects = 500
	n := testing.AllocsPerRun(20, func() {
		a := sequential.NewAnswer(sequential.Limits{}, nil, nil)
		for range objects {
			fields := a.Fields(op, set, types)
			out := a.FieldSet(fields)
			for i := range fields {
				out.Values[i] = a.String("text")
			}
		}
	})
	if n > objects/4 {
		t.Errorf("%v allocations for %d objects", n, objects)
	}
	a := sequential.NewAnswer(sequential.Limits{}, nil, nil)
	if got := len(a.Fields(op, set[:1], types)); got != 1 {
		t.Errorf("a selection set of one field has %d", got)
	}
	if got := len(a.Fields(op, set, types)); got != 2 {
		t.Errorf("a selection set of two fields with the same first has %d", got)
	}
}
