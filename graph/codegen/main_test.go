package main

import "testing"

const leaf = ") _Robot_name(ctx context.Context, field graphql.CollectedField, obj "

func executed(reads, writes string) string {
	return "func (ec *executionContext" + leaf + `*consoleclient.Robot) (ret graphql.Marshaler) {
	return graphql.ResolveField(
		ctx,
		func(ctx context.Context) (any, error) {
			` + reads + `
		},
		nil,
		func(ctx context.Context, selections ast.SelectionSet, v string) graphql.Marshaler {
			return ` + writes + `
		},
		true,
		true,
	)
}
`
}

func TestDirect(t *testing.T) {
	const plain = "ec.marshalNString2string(ctx, selections, v)"
	for name, tt := range map[string]struct{ text, want string }{
		"a leaf": {
			"package generated\n\n" + executed("return obj.Name, nil", plain) + "\nfunc other() {\n}\n",
			"package generated\n\nfunc (ec *executionContext" + leaf + "*consoleclient.Robot) (ret graphql.Marshaler) {\n" +
				"\treturn ec.marshalNString2string(ctx, field.Selections, obj.Name)\n}\n\nfunc other() {\n}\n",
		},
		"a resolver":       {executed("return ec.Resolvers.Robot().Name(ctx, obj)", plain), ""},
		"a method":         {executed("return obj.Name(), nil", plain), ""},
		"another marshal":  {executed("return obj.Name, nil", "graphql.MarshalString(v)"), ""},
		"another function": {"func (ec *executionContext) _Queue_name(ctx) {\n}\n", ""},
		"what stands in the next function only": {
			executed("return obj.Name(), nil", plain) + executed("return obj.Name, nil", plain), "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got, ok := direct(tt.text, leaf); got != tt.want || ok != (tt.want != "") {
				t.Errorf("%v:\n%s", ok, got)
			}
		})
	}
}
