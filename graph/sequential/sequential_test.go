package sequential_test

import (
	"context"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/sequential"
)

func TestSlice(t *testing.T) {
	for name, tt := range map[string]struct {
		texts  []string
		want   string
		errors []string
	}{
		"none":             {nil, `[]`, nil},
		"one":              {[]string{"a"}, `["a"]`, nil},
		"in order":         {[]string{"a", "b", "c"}, `["a","b","c"]`, nil},
		"one that panics":  {[]string{"panic"}, `[null]`, []string{"list[0]"}},
		"some that panics": {[]string{"a", "panic", "c", "panic"}, `["a",null,"c",null]`, []string{"list[1]", "list[3]"}},
	} {
		t.Run(name, func(t *testing.T) {
			recovered := func(context.Context, any) error { return context.Canceled }
			ctx := graphql.WithResponseContext(t.Context(), graphql.DefaultErrorPresenter, recovered)
			ctx = graphql.WithFieldContext(ctx, &graphql.FieldContext{Field: graphql.CollectedField{Field: &ast.Field{Alias: "list"}}})
			list := (*sequential.Answer)(nil).Slice(ctx, len(tt.texts), func(ctx context.Context, i int) graphql.Marshaler {
				if at := graphql.GetFieldContext(ctx); at.Index == nil || *at.Index != i {
					t.Errorf("element %d has the field context %+v", i, at)
				}
				if tt.texts[i] == "panic" {
					panic("as the row asks") //nolint:forbidigo // this panic is tested
				}
				return graphql.MarshalString(tt.texts[i])
			})
			var b strings.Builder
			list.MarshalGQL(&b)
			if b.String() != tt.want {
				t.Errorf("%s, want %s", &b, tt.want)
			}
			var paths []string
			for _, err := range graphql.GetErrors(ctx) {
				paths = append(paths, err.Path.String())
			}
			if strings.Join(paths, " ") != strings.Join(tt.errors, " ") {
				t.Errorf("errors at %v, want %v", paths, tt.errors)
			}
		})
	}
}

func TestFieldSet(t *testing.T) {
	for name, aliases := range map[string][]string{
		"none":           {},
		"one":            {"a"},
		"some":           {"a", "b_1", "C"},
		"twice the same": {"a", "b", "a"},
		"many":           strings.Split("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", ""),
	} {
		t.Run(name, func(t *testing.T) {
			var fields []graphql.CollectedField
			for _, alias := range aliases {
				fields = append(fields, graphql.CollectedField{Field: &ast.Field{Alias: alias}})
			}
			theirs, ours := graphql.NewFieldSet(fields), sequential.NewFieldSet(fields)
			for i := range fields {
				value := graphql.MarshalInt(i)
				theirs.Values[i], ours.Values[i] = value, value
			}
			ours.Dispatch(t.Context())
			var want, got strings.Builder
			theirs.MarshalGQL(&want)
			ours.MarshalGQL(&got)
			if got.String() != want.String() {
				t.Errorf("got %s, want %s", &got, &want)
			}
		})
	}
}

// TestBytes verifies that an answer does not change when its buffer is used again.
func TestBytes(t *testing.T) {
	var made [][]byte
	for _, text := range []string{"first", "second", strings.Repeat("x", 2<<20), "", "last"} {
		made = append(made, sequential.Bytes(graphql.MarshalString(text)))
	}
	for i, want := range []string{`"first"`, `"second"`, `"` + strings.Repeat("x", 2<<20) + `"`, `""`, `"last"`} {
		if string(made[i]) != want {
			t.Errorf("answer %d has %d bytes and begins with %.10s", i, len(made[i]), made[i])
		}
	}
}
