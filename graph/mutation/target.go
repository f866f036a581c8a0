package mutation

import (
	"github.com/consoleql/consoleql/internal/scope"
)

// Target names the entity that a mutation concerns.
type Target struct {
	Scope scope.Scope
	ID    string
}

// Named returns the target itself, for payloads that embed it.
func (t Target) Named() Target { return t }

// Changed is an entity that a mutation changed or created, and the console's answer. The
// answer may be nil, or have only the id.
type Changed[T any] struct {
	Answer *T
	Target
}

// Change returns the change itself, for payloads that embed it.
func (c *Changed[T]) Change() *Changed[T] { return c }
