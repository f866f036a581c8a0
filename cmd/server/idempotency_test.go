package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/redistest"
)

// process is a gateway in a process of its own.
type process struct {
	*world
	cmd *exec.Cmd
	log *lockedBuffer
}

// newProcess starts a gateway that shares a Redis and a simulated console; env
// are more settings.
func newProcess(t *testing.T, sim *consolesim.Server, redisURL string, env ...string) *process {
	t.Helper()
	return startProcess(t, release.binary(t), sim, redisURL, env...)
}

// startProcess is newProcess for any release's binary.
func startProcess(t *testing.T, binary string, sim *consolesim.Server, redisURL string, env ...string) *process {
	t.Helper()
	username, password := sim.DefaultUser()
	p := &process{log: &lockedBuffer{}}
	p.cmd = exec.Command(binary, "serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--log-format=json")
	p.cmd.Env = append(os.Environ(), "CONSOLEQL_CONSOLE_URL="+sim.APIURL(), "CONSOLEQL_SSO_URL="+sim.SSOURL(),
		"CONSOLEQL_REDIS_URL="+redisURL, "CONSOLEQL_USERNAME="+username, "CONSOLEQL_PASSWORD="+password, "CONSOLEQL_ANONYMOUS=true",
		"CONSOLEQL_COMPANY_ID="+sim.Data().MainCompanyID(), "CONSOLEQL_DEPARTMENT_ID="+sim.Data().MainDepartmentID(),
		"CONSOLEQL_CACHE=off") // what is about the cache turns it on
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		_ = p.cmd.Process.Kill() // it may have been killed before
		_ = p.cmd.Wait()
	})
	listening := regexp.MustCompile(`(?s)"url":"(http://[^"]+)".*"admin_address":"([^"]+)"`)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if found := listening.FindStringSubmatch(p.log.String()); found != nil {
			p.world = &world{t: t, sim: sim, url: found[1], adm: "http://" + found[2], http: client}
			return p
		}
		if time.Now().After(deadline) {
			t.Fatalf("the gateway does not listen:\n%s", p.log)
		}
	}
}

const execute = "POST /openapi/workflows/{workflowId}/execute"

// executeOnce asks one of the gateways to execute a workflow. It gives the
// answer's body, or the code of the error; nothing where the gateway died.
func executeOnce(p *process, workflow, key string) (body, code string) {
	query := fmt.Sprintf(`{"query":"mutation { executeWorkflow(input: {id: \"%s\", priority: 7, idempotencyKey: \"%s\"}) { jobs { id name state createdAt priority } } }"}`, workflow, key)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, p.url+"/graphql", strings.NewReader(query))
	if err != nil {
		return "", ""
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.http.Do(req)
	if err != nil {
		return "", ""
	}
	defer resp.Body.Close()
	var raw bytes.Buffer
	if _, err := raw.ReadFrom(resp.Body); err != nil {
		return "", ""
	}
	var a answer
	if json.Unmarshal(raw.Bytes(), &a) == nil && len(a.Errors) > 0 {
		return "", a.Errors[0].Extensions.Code + " " + a.Errors[0].Message
	}
	return raw.String(), ""
}

// storm sends 100 executions with one key through the gateways at once.
func storm(gateways []*process, workflow, key string) (bodies, codes []string) {
	var wait sync.WaitGroup
	var mu sync.Mutex
	for i := range 100 {
		wait.Go(func() {
			body, code := executeOnce(gateways[i%len(gateways)], workflow, key)
			mu.Lock()
			defer mu.Unlock()
			if body != "" {
				bodies = append(bodies, body)
			}
			if code != "" {
				codes = append(codes, code)
			}
		})
	}
	wait.Wait()
	return bodies, codes
}

func TestOneExecutionPerKey(t *testing.T) {
	sim, err := consolesim.Start(context.Background(), consolesim.Options{Latency: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	store := redistest.Start(t)
	gateways := []*process{newProcess(t, sim, store.URL()), newProcess(t, sim, store.URL())}
	workflow := sim.Data().WorkflowIDs(sim.Data().MainDepartmentID())[0]

	t.Run("a hundred at once", func(t *testing.T) {
		sim.ResetCounts()
		bodies, codes := storm(gateways, workflow, "a")
		if len(codes) > 0 || len(bodies) != 100 || len(slices.Compact(slices.Clone(bodies))) != 1 {
			t.Errorf("%d answers, errors %v", len(bodies), codes)
		}
		if !strings.Contains(bodies[0], `"state":"QUEUED"`) || !strings.Contains(bodies[0], `"priority":7`) {
			t.Errorf("answered %s", bodies[0])
		}
		if n := sim.Counts()[execute]; n != 1 {
			t.Errorf("%d executions", n)
		}
		if body, _ := executeOnce(gateways[1], workflow, "a"); body != bodies[0] {
			t.Errorf("asked again: %s", body)
		}
	})
	t.Run("another input", func(t *testing.T) {
		other := sim.Data().WorkflowIDs(sim.Data().MainDepartmentID())[1]
		if _, code := executeOnce(gateways[0], other, "a"); !strings.HasPrefix(code, "CONFLICT ") {
			t.Errorf("answered %q", code)
		}
	})
	t.Run("refused, then mended", func(t *testing.T) {
		cancel := sim.Fail(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/execute") }, consolesim.Fault{Status: 400, Times: 1})
		defer cancel()
		if _, code := executeOnce(gateways[0], workflow, "b"); !strings.HasPrefix(code, "BAD_USER_INPUT ") {
			t.Errorf("answered %q", code)
		}
		if body, code := executeOnce(gateways[1], workflow, "b"); body == "" {
			t.Errorf("a retry after a refusal: %q", code)
		}
	})
	t.Run("an answer that was lost", func(t *testing.T) {
		cancel := sim.Fail(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/execute") }, consolesim.Fault{Drop: true, After: true, Times: 1})
		defer cancel()
		sim.ResetCounts()
		if _, code := executeOnce(gateways[0], workflow, "c"); !strings.HasPrefix(code, "UPSTREAM_UNAVAILABLE ") {
			t.Errorf("answered %q", code)
		}
		if _, code := executeOnce(gateways[1], workflow, "c"); !strings.Contains(code, "unknown: check before retrying") {
			t.Errorf("a retry was told %q", code)
		}
		if n := sim.Counts()[execute]; n != 1 {
			t.Errorf("%d executions", n)
		}
	})
	t.Run("one gateway is killed in the middle", func(t *testing.T) {
		cancel := sim.Fail(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/execute") }, consolesim.Fault{Delay: time.Second})
		defer cancel()
		sim.ResetCounts()
		killed := make(chan struct{})
		go func() {
			defer close(killed)
			for sim.Counts()[execute] == 0 {
				time.Sleep(5 * time.Millisecond)
			}
			_ = gateways[0].cmd.Process.Kill() // whether it was the one at work or the other: both must hold
		}()
		bodies, codes := storm(gateways, workflow, "d")
		<-killed
		if n := sim.Counts()[execute]; n != 1 {
			t.Errorf("%d executions", n)
		}
		if len(bodies)+len(codes) < 50 {
			t.Errorf("the gateway that lived answered %d of 50", len(bodies)+len(codes))
		}
		if len(bodies) > 0 && len(slices.Compact(slices.Clone(bodies))) != 1 {
			t.Error("the answers differ")
		}
		for _, code := range codes {
			if !strings.Contains(code, "unknown: check before retrying") {
				t.Errorf("told %q", code)
			}
		}
	})
}

// TestStoppingWaitsForExecutions, whoever has left: only so does the key know what became
// of its execution.
func TestStoppingWaitsForExecutions(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	arrived, held := make(chan struct{}), make(chan struct{})
	defer w.sim.Fail(func(r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/execute") {
			close(arrived)
			<-held
		}
		return false
	}, consolesim.Fault{})()
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+"/graphql", strings.NewReader(fmt.Sprintf(`{"query": %s}`, encode(t, w.execution("k")))))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if resp, err := w.http.Do(req); err == nil {
			_ = resp.Body.Close()
			t.Errorf("answered with status %d", resp.StatusCode)
		}
	}()
	<-arrived
	leave()
	<-gone
	w.stop()
	stopped := make(chan error, 1)
	go func() { stopped <- w.stopped() }()
	select {
	case err := <-stopped:
		t.Errorf("stopped with an execution under way: %v", err)
		stopped <- err
	case <-time.After(200 * time.Millisecond):
	}
	close(held)
	if err := <-stopped; err != nil {
		t.Errorf("stopped with %v", err)
	}
}
