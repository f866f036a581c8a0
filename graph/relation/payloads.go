package relation

import (
	"fmt"

	"github.com/consoleql/consoleql/graph/batch"
	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/graph/mutation"
	"github.com/consoleql/consoleql/graph/selection"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
)

// fields returns pointers to an entity's id and name.
type fields[T any] func(*T) (id, name *string)

func packageFields(p *cc.Package) (id, name *string)   { return &p.ID, &p.Name }
func queueFields(q *cc.Queue) (id, name *string)       { return &q.ID, &q.Name }
func workflowFields(w *cc.Workflow) (id, name *string) { return &w.ID, &w.Name }

// changed returns the entity that a mutation changed, as the console answered it. If the console
// did not, and more than the id is selected, the entity is read.
func changed[P any, T any, F comparable, PP interface {
	*P
	Change() *mutation.Changed[T]
}](of loaderOf[T, F], fields fields[T]) loader.Relation {
	return loader.Relation{To: typeName[T](), Keys: []string{"id"}, Load: func(l *loader.Loaders, parent any, c loader.FieldCall) loader.Loaded {
		return loader.One[T](loadChanged(l, of, fields, parent.(PP).Change(), c.Selection))
	}}
}

func loadChanged[T any, F comparable](l *loader.Loaders, of loaderOf[T, F], fields fields[T], change *mutation.Changed[T], s selection.Set) batch.Thunk[*T] {
	if change.Answer != nil {
		if _, name := fields(change.Answer); *name != "" { // an answer without a name describes nothing
			return func() (*T, error) { return change.Answer, nil }
		}
	}
	if s.SelectsOnly(typeName[T](), "id") {
		v := new(T)
		id, _ := fields(v)
		*id = change.ID
		return func() (*T, error) { return v, nil }
	}
	return of(l).LoadByID(l.Access, change.Scope, change.ID, s)
}

// created is changed for an entity that a mutation created. If the console does not find it,
// the error names its id, which the caller cannot know otherwise.
func created[P any, T any, F comparable, PP interface {
	*P
	Change() *mutation.Changed[T]
}](of loaderOf[T, F], fields fields[T]) loader.Relation {
	return loader.Relation{To: typeName[T](), Keys: []string{"id"}, Load: func(l *loader.Loaders, parent any, c loader.FieldCall) loader.Loaded {
		change := parent.(PP).Change()
		read := loadChanged(l, of, fields, change, c.Selection)
		return loader.One[T](func() (*T, error) {
			found, err := read()
			if found == nil && err == nil {
				err = &fault.Error{Code: fault.NotFound, Message: fmt.Sprintf("the change was made, but the console does not find %s now", change.ID), Outcome: fault.Done}
			}
			return found, err
		})
	}}
}

// target returns the entity that a mutation named.
func target[T any, F comparable](of loaderOf[T, F]) loader.Relation {
	return loader.Relation{To: typeName[T](), Keys: []string{"id"}, Load: func(l *loader.Loaders, parent any, c loader.FieldCall) loader.Loaded {
		named := parent.(interface{ Named() mutation.Target }).Named()
		return loader.One[T](of(l).LoadByID(l.Access, named.Scope, named.ID, c.Selection))
	}}
}
