package loader

import (
	"reflect"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/selection"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/principal"
)

// isAbstract reports whether a type of the schema is that of objects with a nodeId.
func isAbstract(typ string) bool {
	return typ == selection.NodeInterface || typ == selection.EntityUnion
}

// objectTypes returns the object types of a type of the schema: itself, or those of the interface or union.
func objectTypes(typ string) []string {
	if isAbstract(typ) {
		return NodeTypes()
	}
	return []string{typ}
}

// NodeTypes returns the object types that have a nodeId.
func NodeTypes() []string {
	return append([]string{"Company", "Department"}, listedTypes()...)
}

// typeOf returns the type in the schema of an object with a nodeId.
func typeOf(object any) string { return reflect.TypeOf(object).Elem().Name() }

// Node loads the object of a nodeId in the company and department that it names; nil if there is none. An API key
// needs to allow its type.
func (l *Loaders) Node(text string, s selection.Set) batch.Thunk[Node] {
	n, err := cc.ParseNodeID(text)
	if err != nil {
		return batch.Failed[Node](err)
	}
	return l.NodeOf(n, s)
}

// NodeOf is Node for the parts of a nodeId.
func (l *Loaders) NodeOf(n cc.NodeID, s selection.Set) batch.Thunk[Node] {
	if err := principal.FromContext(l.Context()).Limits().CheckType(n.Type); err != nil {
		return batch.Failed[Node](err)
	}
	switch n.Type {
	case "Company":
		return asNode(l.Company(n.ID))
	case "Department":
		return asNode(l.department(n.Scope.CompanyID, n.ID))
	default:
		return l.listedNode(n, s)
	}
}

// asNode converts a nil pointer to a nil Node.
func asNode[T any, P interface {
	*T
	Node
}](t batch.Thunk[P]) batch.Thunk[Node] {
	return batch.Then(t, func(v P) (Node, error) {
		if v == nil {
			return nil, nil
		}
		return v, nil
	})
}
