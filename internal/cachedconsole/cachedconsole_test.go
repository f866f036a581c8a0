package cachedconsole_test

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/consoleql/consoleql/internal/bytepool"
	"github.com/consoleql/consoleql/internal/cachedconsole"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/scope"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a simulated console behind a cache.
type fixture struct {
	t       *testing.T
	sim     *consolesim.Server
	console *cachedconsole.Console
	scope   scope.Scope
	ended   atomic.Bool // whether the principal is no longer accepted
	memory  *bytepool.Pool
}

// beforeToken is the context key of a function that runs before a token is requested.
type beforeToken struct{}

// tokens returns the token of each principal.
type tokens struct{}

// refusal is the context key of an error with which the request for a token fails.
type refusal struct{}

func (tokens) Token(ctx context.Context) (string, error) {
	if before, ok := ctx.Value(beforeToken{}).(func()); ok {
		before()
	}
	if err, ok := ctx.Value(refusal{}).(error); ok {
		return "", err
	}
	return principal.FromContext(ctx).Token(), nil
}
func (tokens) Refused(context.Context, string) {}

var errEnded = fault.New(fault.Unauthenticated, "the session has ended")

func newFixture(t *testing.T, client redis.UniversalClient, sims ...*consolesim.Server) *fixture {
	t.Helper()
	f := &fixture{t: t, memory: bytepool.New(8 << 20)}
	if len(sims) > 0 {
		f.sim = sims[0]
	} else {
		sim, err := consolesim.Start(t.Context(), consolesim.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sim.Close() })
		f.sim = sim
	}
	f.scope = scope.Scope{CompanyID: f.sim.Data().MainCompanyID(), DepartmentID: f.sim.Data().MainDepartmentID()}
	api, err := cc.New(cc.Options{APIURL: f.sim.APIURL(), Tokens: tokens{}, Memory: f.memory})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.CloseIdleConnections)
	lives := cachedconsole.DefaultLifetimes()
	for kind, p := range lives {
		p.Life = time.Hour // no entry expires during the test
		lives[kind] = p
	}
	cache, err := responsecache.New(responsecache.Options{Policies: lives.Policies(), Redis: client, Version: cachedconsole.Form()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cache.Close)
	f.console, err = cachedconsole.New(cachedconsole.Options{Client: api, Cache: cache, Accepted: func(context.Context) error {
		if f.ended.Load() {
			return errEnded
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// as returns a context with the given user as principal.
func (f *fixture) as(user string) context.Context {
	return principal.NewContext(f.t.Context(), principal.FromToken(f.sim.Token(user)))
}

func (f *fixture) owner() context.Context {
	user, _ := f.sim.DefaultUser()
	return f.as(user)
}

// calls returns how many console calls do makes.
func (f *fixture) calls(do func()) int {
	f.sim.ResetCounts()
	do()
	return f.counted()
}

// counted returns the number of console calls so far.
func (f *fixture) counted() int {
	n := 0
	for _, c := range f.sim.Counts() {
		n += c
	}
	return n
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// reads returns every read of the console by its operation.
func (f *fixture) reads(ctx context.Context) map[string]func() (any, error) {
	data, c, sc := f.sim.Data(), f.console, f.scope
	d := data.MainDepartmentID()
	workflow, queue, robot := data.WorkflowIDs(d)[0], data.QueueIDs(d)[0], data.RobotIDs(d)[0]
	pkg := *must[*cc.Page[cc.Package]](f.t)(c.Client.Packages(ctx, sc, cc.List[cc.PackageFilter]{PageSize: 1})).List[0]
	layout := *must[*cc.Page[cc.WorkflowLayout]](f.t)(c.Client.WorkflowLayouts(ctx, sc, cc.List[cc.WorkflowLayoutFilter]{PageSize: 1})).List[0]
	return map[string]func() (any, error){
		cc.OpCompanies:      func() (any, error) { return c.Companies(ctx, scope.Scope{}, "") },
		cc.OpDepartmentTree: func() (any, error) { return c.DepartmentTree(ctx, sc) },
		cc.OpSelf:           func() (any, error) { return c.Self(ctx, sc) },
		cc.OpPackages: func() (any, error) {
			return c.Packages(ctx, sc, cc.List[cc.PackageFilter]{Filter: cc.PackageFilter{IncludeVersions: true}, PageSize: 50})
		},
		cc.OpPackage:         func() (any, error) { return c.Package(ctx, sc, pkg.ID) },
		cc.OpQueues:          func() (any, error) { return c.Queues(ctx, sc, cc.List[cc.QueueFilter]{PageSize: 50}) },
		cc.OpQueue:           func() (any, error) { return c.Queue(ctx, sc, queue) },
		cc.OpRobots:          func() (any, error) { return c.Robots(ctx, sc, cc.List[cc.RobotFilter]{PageSize: 50}) },
		cc.OpRobot:           func() (any, error) { return c.Robot(ctx, sc, robot) },
		cc.OpWorkflows:       func() (any, error) { return c.Workflows(ctx, sc, cc.List[cc.WorkflowFilter]{PageSize: 50}) },
		cc.OpWorkflow:        func() (any, error) { return c.Workflow(ctx, sc, workflow) },
		cc.OpWorkflowRobots:  func() (any, error) { return c.WorkflowRobots(ctx, sc, workflow, 0, 0) },
		cc.OpWorkflowLayouts: func() (any, error) { return c.WorkflowLayouts(ctx, sc, cc.List[cc.WorkflowLayoutFilter]{PageSize: 50}) },
		cc.OpWorkflowLayout:  func() (any, error) { return c.WorkflowLayout(ctx, sc, layout.ID) },
	}
}

// TestValuesSurviveRedis checks that a value survives Redis unchanged, unexported fields included.
func TestValuesSurviveRedis(t *testing.T) {
	server := redistest.Start(t)
	first := newFixture(t, dial(t, server))
	second := newFixture(t, dial(t, server), first.sim)
	ctx := first.owner()
	reads, again := first.reads(ctx), second.reads(ctx)
	for operation, read := range reads {
		var want any
		// Each replica loads by itself until Redis has granted it a lease.
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			want = must[any](t)(read())
			var got any
			if second.calls(func() { got = must[any](t)(again[operation]()) }) == 0 {
				if !reflect.DeepEqual(want, got) {
					t.Errorf("%s:\n%+v\ncame back as\n%+v", operation, want, got)
				}
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s never comes from Redis", operation)
			}
			second.console.Forget(ctx)
		}
	}
}

func dial(t *testing.T, server *redistest.Server) redis.UniversalClient {
	t.Helper()
	o, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	o.ContextTimeoutEnabled = true
	client := redis.NewClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// TestCachedListServesEntity checks that an entity of a cached list answers a read of that entity.
func TestCachedListServesEntity(t *testing.T) {
	f := newFixture(t, nil)
	ctx, sc, c := f.owner(), f.scope, f.console
	list := cc.List[cc.PackageFilter]{PageSize: 50}
	bare := must[*cc.Page[cc.Package]](t)(c.Packages(ctx, sc, list)).List[0]
	if n := f.calls(func() { must[*cc.Package](t)(c.Package(ctx, sc, bare.ID)) }); n != 1 {
		t.Errorf("a package of a list without versions answered for one with them: %d calls", n)
	}
	other := must[*cc.Page[cc.Package]](t)(c.Packages(ctx, sc, list)).List[1]
	if cached := c.CachedPackages(ctx, sc, []string{other.ID}, true, nil); len(cached) != 0 {
		t.Error("a package of a list without versions was given for one with them")
	}
	if cached := c.CachedPackages(ctx, sc, []string{other.ID, bare.ID}, false, nil); len(cached) != 2 {
		t.Errorf("%d packages were at hand for who wants no versions", len(cached))
	}
	page := must[*cc.Page[cc.Workflow]](t)(c.Workflows(ctx, sc, cc.List[cc.WorkflowFilter]{PageSize: 50}))
	w := page.List[0]
	n := f.calls(func() {
		if got := must[*cc.Workflow](t)(c.Workflow(ctx, sc, w.ID)); got != w {
			t.Errorf("got another one: %+v", got)
		}
		if got := must[*cc.Workflow](t)(c.Workflow(ctx, w.Scope(), w.ID)); got != w {
			t.Errorf("got another one in its own scope: %+v", got)
		}
		if cached := c.CachedWorkflows(ctx, sc, []string{w.ID, "00000000-0000-4000-8000-000000000001"}, true, nil); len(cached) != 1 || cached[0] != w {
			t.Errorf("kept %+v", cached)
		}
		if cached := c.CachedWorkflows(f.as("solo"), sc, []string{w.ID}, true, nil); len(cached) != 0 {
			t.Error("another user was given what was kept")
		}
	})
	if n != 0 {
		t.Errorf("%d calls", n)
	}
}

// TestReadOptions checks that the read options restrict what the cache may answer.
func TestReadOptions(t *testing.T) {
	f := newFixture(t, nil)
	c, sc := f.console, f.scope
	list := cc.List[cc.RobotFilter]{PageSize: 50}
	read := func(ctx context.Context) int {
		return f.calls(func() { must[*cc.Page[cc.Robot]](t)(c.Robots(ctx, sc, list)) })
	}
	ctx := f.owner()
	id := must[*cc.Page[cc.Robot]](t)(c.Robots(ctx, sc, list)).List[0].ID
	anew, recent := operation.New(operation.ReadOptions{Refresh: true}), operation.New(operation.ReadOptions{MaxAge: time.Nanosecond})
	for name, tt := range map[string]struct {
		t    *operation.State
		want int
	}{"nothing said": {operation.New(operation.ReadOptions{}), 0}, "anew": {anew, 1}, "recent": {recent, 1}, "young enough": {operation.New(operation.ReadOptions{MaxAge: time.Hour}), 0}} {
		if n := read(operation.NewContext(ctx, tt.t)); n != tt.want {
			t.Errorf("%s: %d calls, want %d", name, n, tt.want)
		}
		reads := tt.t.Reads()
		if len(reads) != 1 || reads[0].Operation != cc.OpRobots || reads[0].Kind != cachedconsole.Robots || (reads[0].Source == responsecache.Loaded) != (tt.want == 1) {
			t.Errorf("%s: reads %+v", name, reads)
		}
	}
	for _, w := range []*operation.State{anew, recent} {
		if cached := c.CachedRobots(operation.NewContext(ctx, w), sc, []string{id}, true, nil); len(cached) > 0 {
			t.Error("a cached entry was given in spite of no-cache")
		}
	}
	f.ended.Store(true)
	if _, err := c.Robots(ctx, sc, list); !errors.Is(err, errEnded) {
		t.Errorf("who is no longer accepted was answered: %v", err)
	}
	if cached := c.CachedRobots(ctx, sc, []string{id}, true, nil); len(cached) > 0 {
		t.Error("who is no longer accepted was given what is kept")
	}
	f.ended.Store(false)
	c.Forget(ctx)
	if n := read(ctx); n != 1 {
		t.Errorf("%d calls after all was forgotten", n)
	}
}

// TestLifetimes checks that parts of the table can be replaced.
func TestLifetimes(t *testing.T) {
	life := func(p *responsecache.Policy, d time.Duration) { p.Life = d }
	l, err := cachedconsole.DefaultLifetimes().With(map[string]time.Duration{cachedconsole.Robots: 0, cachedconsole.Queues: time.Minute}, life)
	if err != nil {
		t.Fatal(err)
	}
	p := l.Policies()
	if p[cachedconsole.Robots] != (responsecache.Policy{}) || p[cachedconsole.Queues].Life != time.Minute || p[cachedconsole.Workflows].Life != 10*time.Second {
		t.Errorf("%+v", p)
	}
	if _, err := l.With(map[string]time.Duration{"robot": 1}, life); err == nil {
		t.Error("an unknown kind was taken")
	}
}

// TestRefusedTokenIsNotShared checks that a reader who joins a load is not refused because of another token of the same
// user.
func TestRefusedTokenIsNotShared(t *testing.T) {
	f := newFixture(t, nil)
	user, _ := f.sim.DefaultUser()
	hour := time.Now().Add(time.Hour)
	with := func(token string) context.Context {
		return principal.NewContext(t.Context(), principal.Verified(token, user, hour))
	}
	asked, held := make(chan struct{}), make(chan struct{})
	f.sim.Fail(func(r *http.Request) bool {
		if r.Header.Get("Authorization") != "Bearer revoked" {
			return false
		}
		close(asked)
		<-held
		return true
	}, consolesim.Fault{Status: http.StatusUnauthorized, Times: 1})
	read := func(token string) error {
		_, err := f.console.Queues(with(token), f.scope, cc.List[cc.QueueFilter]{PageSize: 50})
		return err
	}
	var readers sync.WaitGroup
	readers.Go(func() {
		if err := read("revoked"); fault.CodeOf(err) != fault.Unauthenticated {
			t.Errorf("the revoked token got %v", err)
		}
	})
	<-asked
	readers.Go(func() {
		if err := read(f.sim.Token(user)); err != nil {
			t.Errorf("the good token got %v", err)
		}
	})
	time.Sleep(50 * time.Millisecond) // lets the second reader join; a late reader loads by itself, with the same result
	close(held)
	readers.Wait()
}
