package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/edge/graphiql/browsertest"
	"github.com/consoleql/consoleql/internal/edge/graphiql/examples"
	"github.com/consoleql/consoleql/test/e2e"
)

var picture = flag.String("picture", "", "file for a picture of GraphiQL answering the demo's first example")

// runningCommand is a command that runs until the test ends.
type runningCommand struct {
	out, log *e2e.LockedBuffer
	code     chan int
	stop     context.CancelFunc
}

// start runs a command and waits until it has printed want.
func start(t *testing.T, want string, args ...string) *runningCommand {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &runningCommand{out: &e2e.LockedBuffer{}, log: &e2e.LockedBuffer{}, code: make(chan int, 1), stop: cancel}
	go func() { s.code <- run(ctx, args, s.out, s.log) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if code := <-s.code; code != 0 {
			t.Errorf("%v: exit status %d\n%s", args, code, s.log)
		}
	})
	for deadline := time.Now().Add(time.Minute); !strings.Contains(s.out.String()+s.log.String(), want); {
		if time.Now().After(deadline) {
			t.Fatalf("%v did not print %q\n%s\n%s", args, want, s.out, s.log)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return s
}

// demoURL returns the address on the first line that demo prints.
func (s *runningCommand) demoURL(t *testing.T) string {
	t.Helper()
	first, _, _ := strings.Cut(s.out.String(), "\n")
	url := regexp.MustCompile(`^http://127\.0\.0\.1:\d+`).FindString(first)
	if url == "" {
		t.Fatalf("the first line of demo holds no address: %q", first)
	}
	return url
}

func TestDemoRunsItsExamples(t *testing.T) {
	demo := start(t, "admin listening", "demo", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0")
	url := demo.demoURL(t)
	sim, err := consolesim.Start(t.Context(), consolesim.Options{}) // the same seed gives the same ids
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	username, password := sim.DefaultUser()
	if !strings.Contains(demo.out.String(), "password is "+password) {
		t.Errorf("demo does not print its user's password: %s", demo.out)
	}
	all, err := examples.Demo(sim.Data(), username)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 8 {
		t.Fatalf("only %d examples", len(all))
	}
	for _, example := range all {
		t.Run(example.Title, func(t *testing.T) {
			var variables map[string]any
			if example.Variables != "" {
				if err := json.Unmarshal([]byte(example.Variables), &variables); err != nil {
					t.Fatal(err)
				}
			}
			if variables["password"] == "" { // the page asks for it
				variables["password"] = password
			}
			w := &e2e.World{T: t, URL: url, Client: http.DefaultClient}
			if strings.Contains(example.Query, "\nsubscription ") {
				e := w.Events(http.MethodGet, example.Query, nil)
				defer e.Close()
				if a := e.Answer(); len(a.Errors) > 0 { // the robots' heartbeats change all the time
					t.Errorf("answered %s", a.Body)
				}
				return
			}
			a := w.Ask(example.Query, e2e.Request{Variables: variables})
			var refused int
			for _, e := range a.Errors {
				if e.Extensions.Code != "FORBIDDEN" {
					t.Errorf("answered %s", a.Body)
				}
				refused++
			}
			if want := strings.Count(example.Query, "Payroll refuses"); refused != want || len(a.Data) < 100 {
				t.Errorf("refused %d times, not %d: %s", refused, want, a.Body)
			}
		})
	}
}

func TestGraphiQLInBrowser(t *testing.T) {
	demo := start(t, `"listening"`, "demo", "--listen=127.0.0.1:0", "--admin-listen=")
	var shot string
	if *picture != "" {
		var err error
		if shot, err = filepath.Abs(filepath.Join("..", "..", *picture)); err != nil {
			t.Fatal(err)
		}
	}
	result := browsertest.Run(t, demo.demoURL(t), browsertest.Options{Screenshot: shot})
	if !strings.Contains(result.Query, "query Dashboard") {
		t.Errorf("the editor shows %q", result.Query)
	}
	var answer struct {
		Data struct {
			Workflows struct {
				TotalCount int
				Nodes      []struct {
					Package struct{ Name string }
					Robots  []struct{ Status string }
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(result.Response), &answer); err != nil {
		t.Fatalf("%v in %s", err, result.Response)
	}
	nodes := answer.Data.Workflows.Nodes
	if len(nodes) != 5 || nodes[0].Package.Name == "" || len(nodes[0].Robots) == 0 || nodes[0].Robots[0].Status == "" {
		t.Errorf("the result pane shows %s", result.Response)
	}
}

func TestSchemaIsPrintedAndServed(t *testing.T) {
	var printed bytes.Buffer
	if code := run(t.Context(), []string{"schema"}, &printed, io.Discard); code != 0 {
		t.Fatalf("exit status %d", code)
	}
	if _, err := gqlparser.LoadSchema(&ast.Source{Input: printed.String()}); err != nil {
		t.Fatalf("the printed schema does not load: %v", err)
	}
	w := e2e.NewWorld(t, consolesim.Options{})
	resp, err := w.Client.Get(w.URL + "/schema.graphql")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	served, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if string(served) != printed.String() {
		t.Error("the schema served is not the one printed")
	}
}

func TestConfigMasksSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONSOLEQL_USERNAME", "robot")
	t.Setenv("CONSOLEQL_CONSOLE_URL", "http://console.example:8080")
	for name, args := range map[string][]string{
		"password": {"config", "--password=hunter2", "--listen=127.0.0.1:1234"},
		"file":     {"config", "--password-file=" + file, "--listen=127.0.0.1:1234"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, log bytes.Buffer
			if code := run(t.Context(), args, &out, &log); code != 0 {
				t.Fatalf("exit status %d: %s", code, &log)
			}
			for _, line := range []string{
				"CONSOLEQL_LISTEN=127.0.0.1:1234\n", "CONSOLEQL_CONSOLE_URL=http://console.example:8080\n",
				"CONSOLEQL_USERNAME=robot\n", "CONSOLEQL_CONSOLE_IDS=auto\n", "CONSOLEQL_LOG_LEVEL=info\n",
			} {
				if !strings.Contains(out.String(), line) {
					t.Errorf("no line %q in\n%s", line, &out)
				}
			}
			if strings.Contains(out.String()+log.String(), "hunter2") || strings.Contains(out.String(), "from-file") {
				t.Errorf("a password is printed:\n%s", &out)
			}
		})
	}
}

// TestConfigOutputIsValidInput: config prints the settings in force in the form of environment variables.
func TestConfigOutputIsValidInput(t *testing.T) {
	config := func(args ...string) string {
		t.Helper()
		var out, log bytes.Buffer
		if code := run(t.Context(), append([]string{"config"}, args...), &out, &log); code != 0 {
			t.Fatalf("exit status %d: %s", code, &log)
		}
		return out.String()
	}
	t.Setenv("CONSOLEQL_CACHE_NEGATIVE", "queues = 7s")
	first := config("--cache-life= robots=0", "--cache-life=queues=1m,", "--allowed-origins=https://a.example,https://b.example")
	for _, line := range []string{
		"CONSOLEQL_CACHE_LIFE=companies=5m0s,layouts=10s,packages=1m0s,queues=1m0s,robots=0s,self=5m0s,tree=5m0s,workflows=10s\n",
		"CONSOLEQL_CACHE_STALE_IF_ERROR=companies=30m0s,layouts=1m0s,packages=5m0s,queues=1m0s,robots=30s,self=30m0s,tree=30m0s,workflows=1m0s\n",
		"CONSOLEQL_CACHE_NEGATIVE=companies=2s,layouts=2s,packages=2s,queues=7s,robots=2s,self=2s,tree=2s,workflows=2s\n",
		"CONSOLEQL_ALLOWED_ORIGINS=https://a.example,https://b.example\n",
	} {
		if !strings.Contains(first, line) {
			t.Errorf("no line %q in\n%s", line, first)
		}
	}
	for line := range strings.Lines(first) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		t.Setenv(name, value)
	}
	if again := config(); again != first {
		t.Errorf("fed back, it is\n%s, not\n%s", again, first)
	}
}

func TestPasswordsInURLsAreMasked(t *testing.T) {
	var out, log bytes.Buffer
	code := run(t.Context(), []string{
		"config", "--console-url=http://me:hunter2@console.example", "--sso-url=http://me:hunter2@sso.example",
		"--redis-url=redis://me:hunter2@redis.example/0?master_name=m&sentinel_password=hunter2&password=hunter2",
	}, &out, &log)
	if strings.Contains(out.String(), "hunter2") || code == 0 && !strings.Contains(out.String(), "console.example") {
		t.Errorf("exit status %d:\n%s%s", code, &out, &log)
	}
}

// TestMistypedURLsHidePasswords: neither printed settings nor errors show a password.
func TestMistypedURLsHidePasswords(t *testing.T) {
	for _, address := range []string{
		"default:hunter2@redis.example:6379/0", "redis://:12/hunter2@redis.example:6379/0", "redis://:12?hunter2@redis.example:6379/0",
		"redis:hunter2@redis.example", "://hunter2",
	} {
		for _, command := range []string{"config", "serve"} {
			var out, log bytes.Buffer
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			run(ctx, []string{command, "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--redis-url=" + address}, &out, &log)
			if strings.Contains(out.String()+log.String(), "hunter2") {
				t.Errorf("%s with %s shows it: %s%s", command, address, &out, &log)
			}
		}
	}
}

func TestInvalidSettings(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		says string
	}{
		"department without company": {[]string{"serve", "--department-id=11111111-1111-4111-8111-111111111111"}, "--company-id"},
		"company is no GUID":         {[]string{"serve", "--company-id=acme"}, "not a GUID"},
		"password without user":      {[]string{"serve", "--password=x"}, "--username"},
		"two passwords":              {[]string{"serve", "--username=u", "--password=x", "--password-file=y"}, "either"},
		"anonymous without account":  {[]string{"serve", "--anonymous"}, "--username"},
		"missing password file":      {[]string{"serve", "--username=u", "--password-file=/does/not/exist"}, "--password-file"},
		"ids":                        {[]string{"serve", "--console-ids=maybe"}, "console-ids"},
		"zero concurrency":           {[]string{"serve", "--console-concurrency=0"}, "--console-concurrency"},
		"console URL":                {[]string{"serve", "--console-url=nowhere"}, "--console-url"},
		"address":                    {[]string{"serve", "--listen=nowhere"}, "--listen is no address"},
		"no address":                 {[]string{"serve", "--listen="}, "--listen is no address"},
		"a port alone":               {[]string{"config", "--listen=8080"}, "--listen is no address"},
		"too large a port":           {[]string{"config", "--listen=127.0.0.1:99999"}, "--listen is no address"},
		"a URL":                      {[]string{"config", "--listen=http://127.0.0.1:8080"}, "--listen is no address"},
		"no brackets":                {[]string{"config", "--admin-listen=::1:8080"}, "--admin-listen is no address"},
		"one address":                {[]string{"config", "--listen=:9090"}, "are the same address"},
		"credentials in a URL":       {[]string{"config", "--jwks-url=https://u:p@h/"}, "--jwks-url has credentials"},
		"URL of keys":                {[]string{"config", "--jwks-url=h/keys"}, "--jwks-url is not"},
		"no rate":                    {[]string{"serve", "--console-rate=NaN"}, "--console-rate must be 0"},
		"any rate":                   {[]string{"serve", "--console-rate=Inf"}, "--console-rate must be 0"},
		"tiny rate":                  {[]string{"serve", "--console-rate=1e-9"}, "--console-rate must be 0"},
		"unknown flag":               {[]string{"serve", "--cheese"}, "cheese"},
		"unknown kind":               {[]string{"serve", "--cache-life=robot=1s"}, "robot"},
		"a kind twice":               {[]string{"serve", "--cache-life=robots=1s,queues=1s,robots=2s"}, "given twice"},
		"a kind in two flags":        {[]string{"serve", "--cache-life=robots=1s", "--cache-life=robots=2s"}, "given twice"},
		"no duration":                {[]string{"serve", "--cache-life=robots=1"}, "robots"},
		"no kind":                    {[]string{"serve", "--cache-negative=1s"}, "KIND=DURATION"},
		"SSO URL":                    {[]string{"serve", "--sso-url=https://auth.example?x=1"}, "--sso-url"},
		"path of new queues":         {[]string{"serve", "--console-queue-create-path=queues"}, "--console-queue-create-path"},
		"depth of a demo":            {[]string{"demo", "--max-depth=0"}, "--max-depth"},
		"simulated pages":            {[]string{"demo", "--page-clamp=0"}, "--page-clamp"},
		"simulated tokens":           {[]string{"simulate", "--token-lifetime=0s"}, "--token-lifetime"},
		"simulated scale":            {[]string{"simulate", "--scale=-1"}, "--scale"},
		"simulated latency":          {[]string{"simulate", "--latency=-1s"}, "--latency"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, log bytes.Buffer
			if code := run(t.Context(), tt.args, &out, &log); code == 0 {
				t.Error("exit status 0")
			}
			if !strings.Contains(log.String(), tt.says) {
				t.Errorf("said nothing of %q:\n%s", tt.says, &log)
			}
		})
	}
}

func TestServeWithSimulatedConsole(t *testing.T) {
	sim := start(t, "DepartmentId", "simulate", "--api-listen=127.0.0.1:0", "--sso-listen=127.0.0.1:0", "--storage-listen=127.0.0.1:0")
	found := regexp.MustCompile(`(http://\S+) is the API gateway\n(http://\S+) is the SSO\n(?s:.*)user (\S+), password (\S+), CompanyId (\S+), DepartmentId (\S+)`).FindStringSubmatch(sim.out.String())
	if found == nil {
		t.Fatalf("simulate printed %s", sim.out)
	}
	t.Setenv("CONSOLEQL_CONSOLE_URL", found[1])
	t.Setenv("CONSOLEQL_SSO_URL", found[2])
	t.Setenv("CONSOLEQL_USERNAME", found[3])
	t.Setenv("CONSOLEQL_PASSWORD", found[4])
	t.Setenv("CONSOLEQL_ANONYMOUS", "true")
	t.Setenv("CONSOLEQL_LISTEN", "127.0.0.1:0")
	t.Setenv("CONSOLEQL_ADMIN_LISTEN", "")
	t.Setenv("CONSOLEQL_LOG_FORMAT", "text")
	serve := start(t, "msg=listening", "serve")
	url := regexp.MustCompile(`url=(http://\S+)`).FindStringSubmatch(serve.log.String())[1]

	w := &e2e.World{T: t, URL: url, Client: http.DefaultClient}
	a := w.Ask(`{ workflows { totalCount } viewer { userName } }`, e2e.Request{Header: map[string]string{"CompanyId": found[5], "DepartmentId": found[6]}})
	if len(a.Errors) > 0 || !bytes.Contains(a.Data, []byte(`"userName":"demo"`)) {
		t.Errorf("answered %s", a.Body)
	}
	if code := run(t.Context(), []string{"healthcheck", "--listen=" + strings.TrimPrefix(url, "http://")}, io.Discard, io.Discard); code != 0 {
		t.Errorf("healthcheck of a gateway that serves: exit status %d", code)
	}
	if code := run(t.Context(), []string{"healthcheck", "--listen=127.0.0.1:1"}, io.Discard, io.Discard); code == 0 {
		t.Error("healthcheck of nothing: exit status 0")
	}
	if strings.Contains(serve.log.String(), found[4]) {
		t.Error("the log holds the password")
	}
}

// TestSubscriptionsInBrowser follows the demo's robots over GraphiQL's WebSocket, and by an EventSource in a page
// without libraries.
func TestSubscriptionsInBrowser(t *testing.T) {
	demo := start(t, `"listening"`, "demo", "--listen=127.0.0.1:0", "--admin-listen=", "--poll-interval=200ms")
	const live = 4 // the tab of the subscription example
	result := browsertest.Run(t, demo.demoURL(t), browsertest.Options{Tab: live, Before: func(ctx context.Context) error {
		const listen = `(() => {
			globalThis.seen = [];
			const source = new EventSource('/graphql?query=' + encodeURIComponent('subscription { robotChanged { name status } }'));
			source.addEventListener('next', event => { seen.push(event.data); source.close(); });
			return true;
		})()`
		if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](listen)); err != nil {
			return err
		}
		for {
			event, err := chromedp.Run(ctx, chromedp.Evaluate[string](`globalThis.seen[0] ?? ''`))
			if err != nil {
				return err
			}
			if event != "" {
				if !strings.Contains(event, `{"data":{"robotChanged":{"name":"`) {
					t.Errorf("the EventSource was sent %s", event)
				}
				return nil
			}
			time.Sleep(50 * time.Millisecond)
		}
	}})
	if !strings.Contains(result.Query, "subscription LiveRobots") || !strings.Contains(result.Response, `"robotChanged"`) || !strings.Contains(result.Response, `"department"`) {
		t.Errorf("the result pane of %q shows %s", result.Query, result.Response)
	}
}
