package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// Process is a gateway in its own process.
type Process struct {
	*World
	Cmd *exec.Cmd
	Log *LockedBuffer
}

// NewProcess starts a gateway with a Redis and a simulated console. env contains further
// settings.
func NewProcess(t *testing.T, sim *consolesim.Server, redisURL string, env ...string) *Process {
	t.Helper()
	return StartProcess(t, Release.Binary(t), sim, redisURL, env...)
}

// StartProcess is NewProcess for a given binary.
func StartProcess(t *testing.T, binary string, sim *consolesim.Server, redisURL string, env ...string) *Process {
	t.Helper()
	username, password := sim.DefaultUser()
	p := &Process{Log: &LockedBuffer{}}
	p.Cmd = exec.Command(binary, "serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--log-format=json")
	p.Cmd.Env = append(os.Environ(), "CONSOLEQL_CONSOLE_URL="+sim.APIURL(), "CONSOLEQL_SSO_URL="+sim.SSOURL(),
		"CONSOLEQL_REDIS_URL="+redisURL, "CONSOLEQL_USERNAME="+username, "CONSOLEQL_PASSWORD="+password, "CONSOLEQL_ANONYMOUS=true",
		"CONSOLEQL_COMPANY_ID="+sim.Data().MainCompanyID(), "CONSOLEQL_DEPARTMENT_ID="+sim.Data().MainDepartmentID(),
		"CONSOLEQL_SHUTDOWN_DELAY=0s", "CONSOLEQL_CACHE=off") // tests of the cache enable it
	p.Cmd.Env = append(p.Cmd.Env, env...)
	p.Cmd.Stdout, p.Cmd.Stderr = p.Log, p.Log
	if err := p.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		_ = p.Cmd.Process.Kill() // the test may have killed it
		_ = p.Cmd.Wait()
	})
	listening := regexp.MustCompile(`(?s)"url":"(http://[^"]+)".*"admin_address":"([^"]+)"`)
	for deadline := time.Now().Add(Timeout); ; time.Sleep(5 * time.Millisecond) {
		if found := listening.FindStringSubmatch(p.Log.String()); found != nil {
			p.World = &World{T: t, Sim: sim, URL: found[1], AdminURL: "http://" + found[2], Client: client}
			return p
		}
		if time.Now().After(deadline) {
			t.Fatalf("the gateway does not listen:\n%s", p.Log)
		}
	}
}

const Execute = "POST /openapi/workflows/{workflowId}/execute"

// ExecuteOnce executes a workflow at one of the gateways. It returns the answer's body, or the
// code of the error, or nothing if the gateway died.
func ExecuteOnce(p *Process, workflow, key string) (body, code string) {
	return ExecuteOnceAs(p, nil, workflow, key)
}

// ExecuteOnceAs is ExecuteOnce with headers.
func ExecuteOnceAs(p *Process, header map[string]string, workflow, key string) (body, code string) {
	query := fmt.Sprintf(`mutation { executeWorkflow(input: {id: %q, priority: 7, idempotencyKey: %q}) { jobs { id name state createdAt priority } } }`, workflow, key)
	a, err := p.AskContext(context.Background(), query, Request{Header: header})
	switch {
	case err != nil:
		return "", ""
	case len(a.Errors) > 0:
		return "", a.Errors[0].Extensions.Code + " " + a.Errors[0].Message
	}
	return string(a.Body), ""
}
