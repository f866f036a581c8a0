package operations

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

// oldRelease is the commit of a release. This release reads its data in Redis, and it reads
// this one's.
const oldRelease = "538e60c"

// buildOldRelease builds the old release from the repository's history.
func buildOldRelease(t *testing.T) (binary string) {
	t.Helper()
	dir := t.TempDir()
	command := func(in string, stdin []byte, name string, args ...string) []byte {
		var stdout, stderr bytes.Buffer
		c := exec.Command(name, args...)
		c.Dir, c.Stdin, c.Stdout, c.Stderr = in, bytes.NewReader(stdin), &stdout, &stderr
		c.Env = append(os.Environ(), "CGO_ENABLED=0") // as in a release, so that the build cache serves both
		if err := c.Run(); err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, &stderr)
		}
		return stdout.Bytes()
	}
	if err := exec.Command("git", "cat-file", "-e", oldRelease+"^{commit}").Run(); err != nil {
		t.Fatalf("the release %s cannot be built: its commit is missing. Test in a full clone: git fetch --unshallow", oldRelease)
	}
	command(dir, command("../../..", nil, "git", "archive", oldRelease), "tar", "-x")
	binary = filepath.Join(dir, "old-release")
	command(dir, nil, "go", "run", "-exec", "cp", "-trimpath", "-buildvcs=false", "./cmd/server", binary) // see binarytest
	return binary
}

// releases runs gateways of two releases, together or in sequence, with one Redis and console.
type releases struct {
	t             *testing.T
	first, second string // their binaries
	beside        bool
	sim           *consolesim.Server
	store         *redistest.Server
}

// gateways starts the first release, lets it work, and starts the second, before or after the
// first one's end.
func (r *releases) gateways(do func(first *e2e.Process), env ...string) (first, second *e2e.Process) {
	first = e2e.StartProcess(r.t, r.first, r.sim, r.store.URL(), env...)
	if r.beside {
		second = e2e.StartProcess(r.t, r.second, r.sim, r.store.URL(), env...)
		do(first)
		return first, second
	}
	do(first)
	if err := first.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
	if err := first.Cmd.Wait(); err != nil {
		r.t.Errorf("the first release ended with %v", err)
	}
	return first, e2e.StartProcess(r.t, r.second, r.sim, r.store.URL(), env...)
}

// TestUpgrade runs this release and the old one with one Redis, in both orders: during an
// upgrade, and during a rollback.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	old := buildOldRelease(t)
	for name, order := range map[string][2]string{"from old to new": {old, e2e.Release.Binary(t)}, "from new to old": {e2e.Release.Binary(t), old}} {
		for when, beside := range map[string]bool{"beside": true, "after": false} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				start := func(t *testing.T, o consolesim.Options) *releases {
					return &releases{t, order[0], order[1], beside, e2e.NewSim(t, o), redistest.Start(t)}
				}
				t.Run("sessions", func(t *testing.T) { start(t, consolesim.Options{TokenLifetime: 2 * time.Second}).sessions() })
				t.Run("encrypted outcomes", func(t *testing.T) { start(t, consolesim.Options{}).encryptedKeys(order[0] == old) })
				t.Run("idempotency keys", func(t *testing.T) { start(t, consolesim.Options{}).keys() })
				t.Run("idempotency keys of scopes", func(t *testing.T) { start(t, consolesim.Options{}).scopedKeys() })
				if beside {
					t.Run("a claim under way", func(t *testing.T) { start(t, consolesim.Options{}).claim() })
					t.Run("invalidations", func(t *testing.T) { start(t, consolesim.Options{}).invalidations() })
				}
			})
		}
	}
}

// sessions uses and refreshes sessions of the first release at the second, and then uses them
// at the first.
func (r *releases) sessions() {
	user := r.sim.Data().SoloUser()
	var session map[string]string
	first, second := r.gateways(func(first *e2e.Process) { session = first.SignIn(user) }, e2e.TokenKeys)
	ask := func(p *e2e.Process) {
		r.t.Helper()
		a := p.Ask(`{ viewer { userName } }`, e2e.Request{Header: e2e.MergeHeaders(session, e2e.ScopeHeader(user.CompanyIDs[0], ""))})
		if !strings.Contains(string(a.Data), user.Username) {
			r.t.Fatalf("answered %s", a.Body)
		}
	}
	ask(second)
	refreshed := func() (n int) {
		for _, g := range r.sim.Grants() {
			if g.Refused || g.Reused {
				r.t.Fatalf("grant %+v", g)
			}
			if g.Type == "refresh_token" && g.Username == user.Username {
				n++
			}
		}
		return n
	}
	before := refreshed()
	e2e.Await(r.t, "a refresh", func() bool { ask(second); return refreshed() > before })
	if r.beside {
		ask(first)
	}
}

// keys verifies that the second release knows the first one's idempotency keys.
func (r *releases) keys() {
	workflow := r.sim.Data().WorkflowIDs(r.sim.Data().MainDepartmentID())[0]
	var body, code string
	_, second := r.gateways(func(first *e2e.Process) { body, code = e2e.ExecuteOnce(first, workflow, "upgrade") })
	if code != "" {
		r.t.Fatalf("not executed: %s", code)
	}
	again, code := e2e.ExecuteOnce(second, workflow, "upgrade")
	if again != body || code != "" {
		r.t.Errorf("repeated, it answers %s%s, want %s", again, code, body)
	}
	if n := r.sim.Counts()[e2e.Execute]; n != 1 {
		r.t.Errorf("executed %d times", n)
	}
}

// scopedKeys verifies that the second release knows the first one's idempotency keys of an API key with scopes.
func (r *releases) scopedKeys() {
	d, k := r.sim.Data(), &e2e.Keyring{T: r.t}
	k.Account("owner", d.Users()[0])
	key := k.Key("scoped", "owner", fmt.Sprintf(", scopes: [{companyId: %s, departmentIds: [%s]}]", d.MainCompanyID(), d.MainDepartmentID()))
	workflow := d.WorkflowIDs(d.MainDepartmentID())[0]
	var body, code string
	_, second := r.gateways(func(first *e2e.Process) { body, code = e2e.ExecuteOnceAs(first, key, workflow, "upgrade") }, "CONSOLEQL_API_KEYS_FILE="+k.Write())
	if code != "" {
		r.t.Fatalf("not executed: %s", code)
	}
	if again, code := e2e.ExecuteOnceAs(second, key, workflow, "upgrade"); again != body || code != "" {
		r.t.Errorf("repeated, it answers %s%s, want %s", again, code, body)
	}
	if n := r.sim.Counts()[e2e.Execute]; n != 1 {
		r.t.Errorf("executed %d times", n)
	}
}

// encryptedKeys verifies that neither release executes again what the other has executed, if the outcome is encrypted.
// The old release cannot read it, and answers that the call was done.
func (r *releases) encryptedKeys(fromOld bool) {
	workflow := r.sim.Data().WorkflowIDs(r.sim.Data().MainDepartmentID())[0]
	var body string
	_, second := r.gateways(func(first *e2e.Process) { body, _ = e2e.ExecuteOnce(first, workflow, "upgrade") }, e2e.TokenKeys)
	again, code := e2e.ExecuteOnce(second, workflow, "upgrade")
	if fromOld && (again != body || code != "") || !fromOld && !strings.HasPrefix(code, "UPSTREAM_INVALID_RESPONSE ") {
		r.t.Errorf("repeated, it answers %s%s, want %s", again, code, body)
	}
	if n := r.sim.Counts()[e2e.Execute]; n != 1 {
		r.t.Errorf("executed %d times", n)
	}
}

// claim verifies that the second release waits for a running execution of the first.
func (r *releases) claim() {
	workflow := r.sim.Data().WorkflowIDs(r.sim.Data().MainDepartmentID())[0]
	first, second := r.gateways(func(*e2e.Process) {})
	r.sim.Fail(func(q *http.Request) bool { return strings.HasSuffix(q.URL.Path, "/execute") }, consolesim.Fault{Delay: time.Second})
	type reply struct{ body, code string }
	replied := make(chan reply, 1)
	go func() {
		body, code := e2e.ExecuteOnce(first, workflow, "upgrade")
		replied <- reply{body, code}
	}()
	e2e.Await(r.t, "the execution", func() bool { return r.sim.Counts()[e2e.Execute] == 1 })
	body, code := e2e.ExecuteOnce(second, workflow, "upgrade")
	if got := <-replied; got.code != "" || code != "" || got.body != body {
		r.t.Errorf("the first answers %s%s, the second %s%s", got.body, got.code, body, code)
	}
	if n := r.sim.Counts()[e2e.Execute]; n != 1 {
		r.t.Errorf("executed %d times", n)
	}
}

// invalidations verifies that each release obeys the other's invalidations.
func (r *releases) invalidations() {
	queue := r.sim.Data().QueueIDs(r.sim.Data().MainDepartmentID())[0]
	first, second := r.gateways(func(*e2e.Process) {}, e2e.CacheForAnHourEnv...)
	name := func(p *e2e.Process) string {
		var got struct{ Queue struct{ Name string } }
		a := p.Ask(`query($id: ID!) { queue(id: $id) { name } }`, e2e.Request{Variables: map[string]any{"id": queue}})
		got = e2e.Decode[struct{ Queue struct{ Name string } }](r.t, a.Data)
		return got.Queue.Name
	}
	for _, p := range []*e2e.Process{first, second} {
		p.AwaitLease()
	}
	for _, tt := range []struct {
		by, other *e2e.Process
		to        string
	}{{first, second, "changed by the first"}, {second, first, "changed by the second"}} {
		if was := name(tt.other); was == "" || was == tt.to {
			r.t.Fatalf("the queue's name is %q before", was)
		}
		a := tt.by.Ask(`mutation($id: ID!, $name: String!) { updateQueue(input: {id: $id, name: $name}) { queue { name } } }`,
			e2e.Request{Variables: map[string]any{"id": queue, "name": tt.to}})
		if len(a.Errors) > 0 {
			r.t.Fatalf("%s", a.Body)
		}
		if is := name(tt.other); is != tt.to {
			r.t.Errorf("the other release still answers %q, want %q", is, tt.to)
		}
	}
}
