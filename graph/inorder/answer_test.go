package inorder_test

import (
	"io"
	"testing"

	"github.com/99designs/gqlgen/graphql"

	"github.com/consoleql/consoleql/graph/inorder"
)

// Names and delimiters are written as strings: a copy of each costs an allocation.
func TestBytesCopiesNoStrings(t *testing.T) {
	list := make(graphql.Array, 1000)
	for i := range list {
		list[i] = graphql.WriterFunc(func(w io.Writer) { _, _ = io.WriteString(w, "true") })
	}
	a := inorder.NewAnswer(inorder.Limits{}, nil, nil)
	if n := testing.AllocsPerRun(20, func() { a.Bytes(list) }); n > 100 {
		t.Errorf("%v allocations for %d values", n, len(list))
	}
}
