package deploy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/binarytest"
	"github.com/consoleql/consoleql/internal/consolesim"
)

// release is the gateway's program.
var release binarytest.Release

func TestMain(m *testing.M) {
	code := m.Run()
	release.Remove()
	os.Exit(code)
}

// consoleql returns a command of the gateway with only the given settings.
func consoleql(t *testing.T, settings map[string]string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(release.Binary(t), args...)
	for _, line := range os.Environ() {
		if !strings.HasPrefix(line, "CONSOLEQL_") {
			cmd.Env = append(cmd.Env, line)
		}
	}
	for name, value := range settings {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd
}

// settingsInForce returns the settings that the gateway prints for the given ones.
func settingsInForce(t *testing.T, settings map[string]string) map[string]string {
	t.Helper()
	var out, log bytes.Buffer
	cmd := consoleql(t, settings, "config")
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("config: %v\n%s", err, &log)
	}
	all := make(map[string]string)
	for line := range strings.Lines(out.String()) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		all[name] = value
	}
	return all
}

func simulator(t *testing.T) *consolesim.Server {
	t.Helper()
	sim, err := consolesim.Start(context.WithoutCancel(t.Context()), consolesim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	return sim
}

// gateway is a gateway process with a simulated console.
type gateway struct {
	t             *testing.T
	cmd           *exec.Cmd
	public, admin string // URLs
}

// serve starts a gateway with the simulator, on free ports unless the given settings say otherwise.
func serve(t *testing.T, sim *consolesim.Server, settings map[string]string) *gateway {
	t.Helper()
	username, password := sim.DefaultUser()
	all := map[string]string{
		"CONSOLEQL_LISTEN": "127.0.0.1:0", "CONSOLEQL_ADMIN_LISTEN": "127.0.0.1:0", "CONSOLEQL_LOG_FORMAT": "json",
		"CONSOLEQL_CONSOLE_URL": sim.APIURL(), "CONSOLEQL_SSO_URL": sim.SSOURL(),
		"CONSOLEQL_USERNAME": username, "CONSOLEQL_PASSWORD": password, "CONSOLEQL_ANONYMOUS": "true",
		"CONSOLEQL_COMPANY_ID": sim.Data().MainCompanyID(), "CONSOLEQL_DEPARTMENT_ID": sim.Data().MainDepartmentID(),
	}
	maps.Copy(all, settings)
	path := filepath.Join(t.TempDir(), "log")
	log, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	g := &gateway{t: t, cmd: consoleql(t, all, "serve")}
	g.cmd.Stdout, g.cmd.Stderr = log, log
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = g.cmd.Process.Kill() // it may have ended
		_ = g.cmd.Wait()
	})
	listening := regexp.MustCompile(`(?s)"url":"(http://[^"]+)".*"admin_address":"([^"]+)"`)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		said, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if found := listening.FindSubmatch(said); found != nil {
			g.public, g.admin = string(found[1]), "http://"+string(found[2])
			return g
		}
		if time.Now().After(deadline) {
			t.Fatalf("the gateway does not listen:\n%s", said)
		}
	}
}

// get requests a URL; 0 is the status without an answer.
func (g *gateway) get(url string) (status int, body string) {
	g.t.Helper()
	client := http.Client{Timeout: time.Minute}
	resp, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(raw)
}

// ask sends an operation and returns the answer.
func (g *gateway) ask(document string) string {
	g.t.Helper()
	resp, err := http.Post(g.public+"/graphql", "application/json", strings.NewReader(fmt.Sprintf(`{"query":%q}`, document)))
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return string(body)
}

// terminate stops the process like a container's runtime.
func (g *gateway) terminate() {
	g.t.Helper()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		g.t.Fatal(err)
	}
}
