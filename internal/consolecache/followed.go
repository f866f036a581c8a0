package consolecache

import (
	"context"
	"net/url"
	"reflect"
	"strings"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/scope"
)

// Seen is what a subscription's look at the console showed.
type Seen[T any] struct {
	Scope scope.Scope
	// Entities are those that the look showed.
	Entities []*T
	// Missing are the ids, in lower case, of those that do not exist.
	Missing []string
	// All says that the scope has no other entities of the kind.
	All bool
	// Look is what the look depends on.
	Look responsecache.Dependency
}

// ExpireRobots makes unreadable, on all replicas, whatever the principal in ctx was answered
// of the robots of the scope's company before look.
func (c *Console) ExpireRobots(ctx context.Context, sc scope.Scope, look responsecache.Dependency) error {
	return c.expire(ctx, sc, Robots, look)
}

// ExpireWorkflows is ExpireRobots for workflows.
func (c *Console) ExpireWorkflows(ctx context.Context, sc scope.Scope, look responsecache.Dependency) error {
	return c.expire(ctx, sc, Workflows, look)
}

// RobotsDiffer says whether the principal in ctx may still be answered otherwise than seen
// shows, by this replica or, as far as it can know, by another.
func (c *Console) RobotsDiffer(ctx context.Context, seen Seen[cc.Robot]) bool {
	return differ(ctx, c, c.kinds.robots, seen)
}

// WorkflowsDiffer is RobotsDiffer for workflows.
func (c *Console) WorkflowsDiffer(ctx context.Context, seen Seen[cc.Workflow]) bool {
	return differ(ctx, c, c.kinds.workflows, seen)
}

func (c *Console) expire(ctx context.Context, sc scope.Scope, kind string, look responsecache.Dependency) error {
	who := c.opts.Identity(principal.FromContext(ctx))
	if c.opts.Cache == nil || who == "" {
		return nil
	}
	return c.opts.Cache.Expire(ctx, look, renewal(who, sc, kind))
}

// differ compares seen with all that memory holds for the principal. What other replicas
// hold cannot be known: with others, it is taken to differ.
func differ[T any](ctx context.Context, c *Console, k listed[T], seen Seen[T]) bool {
	who := c.opts.Identity(principal.FromContext(ctx))
	if k.pages == nil || who == "" {
		return false
	}
	if !c.opts.Cache.Alone() {
		return true
	}
	now := make(map[string]*T, len(seen.Entities)+len(seen.Missing))
	for _, v := range seen.Entities {
		now[scope.Lower(k.id(v))] = v
	}
	for _, id := range seen.Missing {
		now[id] = nil
	}
	other := func(id string, v *T) bool {
		seen, known := now[id]
		return known && !reflect.DeepEqual(seen, v)
	}
	found := false
	soft, lists := renewal(who, seen.Scope, k.kind), callOf(k.list, seen.Scope)
	k.pages.Older(who, soft, seen.Look, func(h responsecache.Held[*cc.Page[T]]) bool {
		params, own := strings.CutPrefix(h.Call, lists)
		found = h.Err == nil && pageDiffers(k, h.Value, other) || own && listDiffers(k, params, h.Value, seen.All, now)
		return !found
	})
	if found {
		return true
	}
	k.one.Older(who, soft, seen.Look, func(h responsecache.Held[*T]) bool {
		found = other(h.Part, h.Value)
		return !found
	})
	return found
}

// pageDiffers says whether a page holds an entity otherwise than it is now.
func pageDiffers[T any](k listed[T], p *cc.Page[T], other func(string, *T) bool) bool {
	if p == nil {
		return false
	}
	for _, v := range p.List {
		if other(scope.Lower(k.id(v)), v) {
			return true
		}
	}
	return false
}

// listDiffers says whether a page of the scope's own list has, or may have, other entities
// on it than it would have now. What a filter lets through is not known here.
func listDiffers[T any](k listed[T], params string, p *cc.Page[T], all bool, now map[string]*T) bool {
	if p == nil || filters(params) {
		return true
	}
	if !all {
		return false
	}
	if p.Count >= 0 && p.Count != len(now) && !strings.Contains(params, "Ids=") {
		return true
	}
	for _, v := range p.List {
		if _, known := now[scope.Lower(k.id(v))]; !known {
			return true
		}
	}
	return false
}

// filters says whether the parameters of a list leave entities out by what they are.
func filters(params string) bool {
	names, err := url.ParseQuery(params)
	for _, harmless := range []string{"PageIndex", "PageSize", "IsDesc", "Ids"} {
		delete(names, harmless)
	}
	return err != nil || len(names) > 0
}
