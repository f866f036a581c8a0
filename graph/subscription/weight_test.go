package subscription

import (
	"context"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
)

func TestLongDocumentsCountAsSeveralSubscriptions(t *testing.T) {
	for _, tt := range []struct{ bytes, want int }{{0, 1}, {1 << 10, 1}, {1<<10 + 511, 1}, {1<<10 + 512, 2}, {32 << 10, 63}} {
		ctx := graphql.WithOperationContext(t.Context(), &graphql.OperationContext{RawQuery: strings.Repeat("x", tt.bytes)})
		if got := weightOf(ctx); got != tt.want {
			t.Errorf("%d bytes count as %d, want %d", tt.bytes, got, tt.want)
		}
	}
	if got := weightOf(context.Background()); got != 1 {
		t.Errorf("no document counts as %d", got)
	}
	s := New(nil, Options{MaxSubscriptions: 10, MaxPerCaller: 5})
	defer s.Close()
	if err := s.admit("ann", 4); err != nil {
		t.Fatal(err)
	}
	if err := s.admit("ann", 2); err == nil {
		t.Error("a subscription beyond the bound is admitted")
	}
	if err := s.admit("ann", 1); err != nil {
		t.Errorf("the last one is refused: %v", err)
	}
}
