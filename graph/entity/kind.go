// Package entity loads entities of the kinds that the console lists and gets by id. It batches entities by id, and
// reads pages of lists.
package entity

import (
	"context"

	"github.com/consoleql/consoleql/graph/listing"
	"github.com/consoleql/consoleql/graph/selection"
	"github.com/consoleql/consoleql/internal/cachedconsole"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// Kind describes a kind of entity that the console lists and gets by id.
type Kind[T any, F comparable] struct {
	cachedconsole.Listed[T]
	// Scope returns the scope of an entity.
	Scope func(*T) scope.Scope
	// List reads a page of the list, and Get one entity.
	List func(context.Context, scope.Scope, cc.List[F]) (*cc.Page[T], error)
	Get  func(context.Context, scope.Scope, string) (*T, error)
	// Cached returns those of the entities that a cache holds, without a call; nil: none. With complete set, it returns
	// complete entities only. It returns fresh ones or, in place of a read that failed with because, old ones.
	Cached func(ctx context.Context, sc scope.Scope, ids []string, complete bool, because error) []*T
	// Keys give the values that lists are ordered by. Without CreatedAt, lists over departments are ordered by name.
	Keys listing.Entity[T]
	// Matcher returns a function that tells whether an entity matches a filter. It returns nil if entities do not show
	// that, and for the empty filter. A nil Matcher returns nil for every filter.
	Matcher func(F) func(*T) bool
	// Partial is set for a kind whose list omits fields unless it is asked for them.
	Partial *Partial[T, F]
}

// Partial describes the fields that a list omits.
type Partial[T any, F comparable] struct {
	// Fields are the fields of the schema that need a complete entity.
	Fields []string
	// Complete changes a filter so that the list returns complete entities.
	Complete func(*F)
}

// needsComplete reports whether a selection on an entity needs a complete one.
func (k *Kind[T, F]) needsComplete(s selection.Set) bool {
	return k.Partial != nil && s.Selects(k.Type, k.Partial.Fields...)
}

// Needs is what a selection on a connection needs of the console.
type Needs struct {
	Nodes    bool // the entities
	Complete bool // complete entities
	Length   bool // the length of the list, which each page contains
}

// needsOfConnection reads a selection on a connection of the kind.
func (k *Kind[T, F]) needsOfConnection(s selection.Set) Needs {
	var n Needs
	for _, f := range s.Fields(k.Type + "Connection") {
		switch f.Name {
		case "nodes":
			n.Nodes = true
			n.Complete = n.Complete || k.needsComplete(s.Below(f))
		case "edges":
			n.Nodes = true
			for _, edge := range s.Below(f).Fields(k.Type + "Edge") {
				if edge.Name == "node" {
					n.Complete = n.Complete || k.needsComplete(s.Below(edge))
				}
			}
		case "pageInfo", "totalCount", "unavailable":
			n.Length = true
		}
	}
	return n
}
