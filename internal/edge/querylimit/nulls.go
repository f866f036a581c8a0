package querylimit

import (
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/consoleql/consoleql/internal/apierror"
	"github.com/consoleql/consoleql/internal/fault"
)

// nulls finds non-null arguments and input fields of an operation whose variable is null. The validator accepts a
// nullable variable there if one of the variable, the argument and the input field has a default (GraphQL specification,
// section 5.8.5). graphql-js refuses the null during the execution (section 6.4.1), and gqlgen takes it for a zero
// value.
type nulls struct {
	variables map[string]any
	seen      map[*ast.FragmentDefinition]bool
}

// refuseNulls refuses an operation with such a null before it is executed. Selections that a condition
// excludes are not checked.
func refuseNulls(op *ast.OperationDefinition, variables map[string]any) *gqlerror.Error {
	for _, value := range variables {
		if value == nil {
			n := nulls{variables, make(map[*ast.FragmentDefinition]bool)}
			return n.selections(op.SelectionSet)
		}
	}
	return nil
}

func (n nulls) selections(set ast.SelectionSet) *gqlerror.Error {
	for _, s := range set {
		var err *gqlerror.Error
		switch s := s.(type) {
		case *ast.Field:
			err = n.selection(s.Directives, s.Arguments, s.SelectionSet)
		case *ast.InlineFragment:
			err = n.selection(s.Directives, nil, s.SelectionSet)
		case *ast.FragmentSpread:
			if err = n.selection(s.Directives, nil, nil); err == nil && !n.seen[s.Definition] && !n.excludes(s.Directives) {
				n.seen[s.Definition] = true
				err = n.selections(s.Definition.SelectionSet)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (n nulls) selection(directives ast.DirectiveList, arguments ast.ArgumentList, below ast.SelectionSet) *gqlerror.Error {
	for _, d := range directives {
		if err := n.arguments(d.Arguments); err != nil {
			return err
		}
	}
	if n.excludes(directives) {
		return nil
	}
	if err := n.arguments(arguments); err != nil {
		return err
	}
	return n.selections(below)
}

// excludes reports whether @skip or @include excludes a selection.
func (n nulls) excludes(directives ast.DirectiveList) bool {
	for _, d := range directives {
		if d.Name != "skip" && d.Name != "include" {
			continue
		}
		if value, err := d.Arguments.ForName("if").Value.Value(n.variables); err == nil && value == (d.Name == "skip") {
			return true
		}
	}
	return false
}

func (n nulls) arguments(arguments ast.ArgumentList) *gqlerror.Error {
	for _, a := range arguments {
		if err := n.value(a.Value, a.Name); err != nil {
			return err
		}
	}
	return nil
}

// value checks the variables in a value. path leads to it from the argument.
func (n nulls) value(v *ast.Value, path string) *gqlerror.Error {
	if v.Kind == ast.Variable {
		value, given := n.variables[v.Raw]
		if !given || value != nil || v.ExpectedType == nil || !v.ExpectedType.NonNull {
			return nil
		}
		err := apierror.Refusal(fault.BadUserInput, "%s: variable $%s is null, where %s is needed", path, v.Raw, v.ExpectedType)
		err.Extensions["argument"] = path
		err.Locations = []gqlerror.Location{{Line: v.Position.Line, Column: v.Position.Column}}
		return err
	}
	for i, child := range v.Children {
		name := child.Name
		if v.Kind == ast.ListValue {
			name = strconv.Itoa(i)
		}
		if err := n.value(child.Value, path+"."+name); err != nil {
			return err
		}
	}
	return nil
}
