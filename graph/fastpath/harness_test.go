package fastpath

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"
	"go.uber.org/goleak"

	"github.com/consoleql/consoleql/graph/generated"
	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/graph/resolver"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a simulated console, a client of it, and the scope that is asked in.
type site struct {
	sim    *consolesim.Server
	client *cc.Client
	scope  scope.Scope
}

func newSite(t testing.TB) *site {
	t.Helper()
	now := time.Now()
	sim, err := consolesim.Start(context.Background(), consolesim.Options{
		Now: func() time.Time { return now }, // answers are compared, and a robot's status changes with time
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Errorf("simulator: %v", err)
		}
	})
	username, _ := sim.DefaultUser()
	client, err := cc.New(cc.Options{APIURL: sim.APIURL(), Tokens: token(sim.Token(username))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	sc, err := scope.New(sim.Data().MainCompanyID(), sim.Data().MainDepartmentID())
	if err != nil {
		t.Fatal(err)
	}
	return &site{sim, client, sc}
}

// token is the one that every call is made with.
type token string

func (t token) Token(context.Context) (string, error) { return string(t), nil }

func (token) Refused(context.Context, string) {}

// engine executes operations as the edge has them executed, without HTTP.
type engine struct {
	*executor.Executor
	buffers sync.Pool
}

func (s *site) engine(t testing.TB, console loader.Console, schema graphql.ExecutableSchema) *engine {
	t.Helper()
	loaders, err := loader.New(console, loader.Options{Default: s.scope})
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{Executor: executor.New(schema), buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }}}
	e.SetQueryCache(lru.New[*ast.QueryDocument](100))
	e.Use(loader.Extension{Engine: loaders})
	return e
}

// executable is the schema as gqlgen generated it, with the resolvers that read.
func executable() graphql.ExecutableSchema {
	return generated.NewExecutableSchema(generated.Config{Resolvers: &resolver.Resolver{}, Complexity: resolver.Complexity()})
}

// gqlgen is an engine with the schema as it is generated.
func (s *site) gqlgen(t testing.TB, console loader.Console) *engine {
	return s.engine(t, console, executable())
}

// overLoaders is an engine with the prototype that asks the loaders as they are.
func (s *site) overLoaders(t testing.TB, console loader.Console) (*engine, *fastPath) {
	return s.prototype(t, console, newThroughLoaders)
}

// overBatches is an engine with the prototype that asks the console for whole levels.
func (s *site) overBatches(t testing.TB, console loader.Console) (*engine, *fastPath) {
	return s.prototype(t, console, func(ctx context.Context) source { return newInBatches(ctx, console) })
}

func (s *site) prototype(t testing.TB, console loader.Console, source func(context.Context) source) (*engine, *fastPath) {
	path := &fastPath{ExecutableSchema: executable(), source: source}
	return s.engine(t, console, path), path
}

// answer executes an operation and writes what is answered: data as the execution made it, as the edge does.
func (e *engine) answer(ctx context.Context, to io.Writer, query string, variables map[string]any) error {
	out := e.buffers.Get().(*bytes.Buffer)
	defer func() {
		out.Reset()
		e.buffers.Put(out)
	}()
	ctx = context.WithValue(ctx, bufferKey{}, out)
	ctx = graphql.StartOperationTrace(ctx)
	op, errs := e.CreateOperationContext(ctx, &graphql.RawParams{Query: query, Variables: variables})
	if errs != nil {
		return errs
	}
	respond, ctx := e.DispatchOperation(ctx, op)
	response := respond(ctx)
	if len(response.Errors) == 0 && len(response.Extensions) == 0 {
		for _, part := range [...][]byte{[]byte(`{"data":`), response.Data, []byte(`}`)} {
			if _, err := to.Write(part); err != nil {
				return err
			}
		}
		return nil
	}
	encoded, err := json.Marshal(response)
	if err != nil {
		return err
	}
	_, err = to.Write(encoded)
	return err
}

func (e *engine) text(t testing.TB, query string, variables map[string]any) string {
	t.Helper()
	var to bytes.Buffer
	if err := e.answer(t.Context(), &to, query, variables); err != nil {
		t.Fatal(err)
	}
	return to.String()
}

// prepared is a console that answers at once, out of memory.
type prepared struct {
	loader.Console
	workflows []*cc.Workflow
	packages  []*cc.Package
	queues    []*cc.Queue
	robots    []*cc.Robot
}

// prepare takes over what the simulator lists.
func (s *site) prepare(t testing.TB) *prepared {
	t.Helper()
	return &prepared{
		workflows: all(t, s, s.client.Workflows),
		packages:  all(t, s, s.client.Packages),
		queues:    all(t, s, s.client.Queues),
		robots:    all(t, s, s.client.Robots),
	}
}

func all[T, F any](t testing.TB, s *site, list func(context.Context, scope.Scope, cc.List[F]) (*cc.Page[T], error)) []*T {
	t.Helper()
	page, err := list(t.Context(), s.scope, cc.List[F]{PageSize: 500})
	if err != nil {
		t.Fatal(err)
	}
	return page.List
}

func (p *prepared) Workflows(_ context.Context, _ scope.Scope, l cc.List[cc.WorkflowFilter]) (*cc.Page[cc.Workflow], error) {
	return page(l, p.workflows, func(w *cc.Workflow) string { return w.ID }), nil
}

func (p *prepared) Packages(_ context.Context, _ scope.Scope, l cc.List[cc.PackageFilter]) (*cc.Page[cc.Package], error) {
	return page(l, p.packages, func(v *cc.Package) string { return v.ID }), nil
}

func (p *prepared) Queues(_ context.Context, _ scope.Scope, l cc.List[cc.QueueFilter]) (*cc.Page[cc.Queue], error) {
	return page(l, p.queues, func(q *cc.Queue) string { return q.ID }), nil
}

func (p *prepared) Robots(_ context.Context, _ scope.Scope, l cc.List[cc.RobotFilter]) (*cc.Page[cc.Robot], error) {
	return page(l, p.robots, func(r *cc.Robot) string { return r.ID }), nil
}

// Queue is asked for what the list does not have.
func (p *prepared) Queue(context.Context, scope.Scope, string) (*cc.Queue, error) {
	return nil, fault.New(fault.NotFound, "there is no such queue")
}

// Robot is asked for what the list does not have.
func (p *prepared) Robot(context.Context, scope.Scope, string) (*cc.Robot, error) {
	return nil, fault.New(fault.NotFound, "there is no such robot")
}

// WorkflowRobots is asked for where a robot cannot be had by its id.
func (p *prepared) WorkflowRobots(context.Context, scope.Scope, string, int, int) (*cc.Page[cc.Robot], error) {
	return nil, fault.New(fault.NotFound, "there is no such workflow")
}

func page[T, F any](l cc.List[F], all []*T, id func(*T) string) *cc.Page[T] {
	found := all
	if l.Ascending {
		found = slices.Clone(all)
		slices.Reverse(found)
	}
	if l.IDs != nil {
		wanted := make(map[string]struct{}, len(l.IDs))
		for _, id := range l.IDs {
			wanted[id] = struct{}{}
		}
		found = make([]*T, 0, len(l.IDs))
		for _, v := range all {
			if _, ok := wanted[id(v)]; ok {
				found = append(found, v)
			}
		}
	}
	from := min(l.PageIndex*l.PageSize, len(found))
	list := found[from:min(from+l.PageSize, len(found))]
	return &cc.Page[T]{Count: len(found), Served: len(list), List: list}
}
