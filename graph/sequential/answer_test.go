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
			if got := short.Bytes(list); string(got) != "null" || !short.Truncated() {
				t.Errorf("%d fields of %d bytes: not refused at a byte less", fields, length)
			}
		}
	}
}
