package subscription

import (
	"context"
	"hash/maphash"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/entity"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// renewing is a fake console: each poll finds another robot.
type renewing struct {
	console
	polls int
}

func (c *renewing) PollRobots(context.Context, scope.Scope, []string, string, int) (entity.Snapshot[cc.Robot], error) {
	c.polls++
	return entity.Snapshot[cc.Robot]{Entities: []*cc.Robot{{ID: "r" + strconv.Itoa(c.polls)}}, Whole: true}, nil
}

// TestRemovedEntitiesAreForgotten verifies that a poll and a subscription remember a bounded number of removed entities.
func TestRemovedEntitiesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const polls = 10_000
		c := &renewing{}
		w := New(c, Options{})
		defer w.Close()
		s := followRobots(t, w, alice)
		r := &responses{rendered: make(map[string]uint64), forget: s.forget, most: maxRemoved, seed: maphash.MakeSeed()}
		field := graphql.CollectedField{Field: &ast.Field{Alias: "r", Definition: &ast.FieldDefinition{Type: ast.NamedType("Robot", nil)}}}
		most := 0
		for range polls {
			time.Sleep(DefaultInterval)
			synctest.Wait()
			for e, ok, _ := s.next(nil); ok; e, ok, _ = s.next(nil) {
				r.event = &renderedEvent{entity: e.id, undetermined: e.undetermined}
				r.isRepeated(t.Context(), field, &graphql.Response{Data: []byte(`{"r":{"id":"` + e.id + `"}}`)})
			}
			s.groups.mu.Lock()
			most = max(most, len(s.polls[0].removedEntities), len(r.rendered))
			s.groups.mu.Unlock()
		}
		if most > maxRemoved || most < maxRemoved/2 || c.polls < polls/2 {
			t.Errorf("%d removed entities are remembered after %d polls", most, c.polls)
		}
		s.leave()
	})
}
