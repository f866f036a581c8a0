package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consoleql/consoleql/test/e2e"
)

// stallingLog is a log whose reader can stall.
type stallingLog struct {
	e2e.LockedBuffer
	stalled atomic.Bool
	goOn    chan struct{}
}

func (l *stallingLog) Write(p []byte) (int, error) {
	if l.stalled.Load() {
		<-l.goOn
	}
	return l.LockedBuffer.Write(p)
}

// unreachableConsole are the flags of a gateway whose console, SSO and Redis do not answer.
func unreachableConsole() []string {
	return []string{"serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--console-url=http://127.0.0.1:1", "--sso-url=http://127.0.0.1:1", "--log-format=json"}
}

// ask sends a request that must be answered, and returns the body.
func ask(t *testing.T, method, url, body string) string {
	t.Helper()
	client := http.Client{Timeout: 30 * time.Second} // far more than an answer takes
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if method == http.MethodPost {
		req.Header.Set("Authorization", "Bearer unknown")
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// addresses returns the URLs of both listeners once the log names them.
func addresses(t *testing.T, log func() string) (public, admin string) {
	t.Helper()
	pattern := regexp.MustCompile(`(?s)"url":"([^"]+)".*"admin_address":"([^"]+)"`)
	e2e.Await(t, "the addresses", func() bool { return pattern.MatchString(log()) })
	found := pattern.FindStringSubmatch(log())
	return found[1], "http://" + found[2]
}

// TestStalledLog verifies that requests, readiness and metrics are answered while nobody reads the log, and that its
// lines follow.
func TestStalledLog(t *testing.T) {
	t.Parallel()
	log := &stallingLog{goOn: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	code := make(chan int, 1)
	go func() { code <- run(ctx, unreachableConsole(), io.Discard, log) }()
	public, admin := addresses(t, log.String)
	log.stalled.Store(true)
	for range 10 {
		ask(t, http.MethodPost, public+"/graphql", `{"query":"{ companies { id } }"}`)
		ask(t, http.MethodPost, public+"/graphql", `{"query":"mutation { signIn(input: {username: \"u\", password: \"p\"}) { session } }"}`)
	}
	if text := ask(t, http.MethodGet, admin+"/readyz", ""); text == "" {
		t.Error("/readyz answers nothing")
	}
	if text := ask(t, http.MethodGet, admin+"/metrics", ""); !strings.Contains(text, "\nconsoleql_log_lines_lost_total 0\n") {
		t.Error("lines are lost, or not counted")
	}
	log.stalled.Store(false)
	close(log.goOn)
	stop()
	if got := <-code; got != 0 {
		t.Errorf("exit status %d", got)
	}
	for _, want := range []string{"a part of the service is failing", `"msg":"stopped"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no line %q in\n%s", want, log)
		}
	}
}

// TestBrokenPipe verifies that the process outlives the reader of its log, and counts the lines that are lost.
func TestBrokenPipe(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	process := exec.Command(program, unreachableConsole()...)
	process.Env = append(os.Environ(), runsMain+"=1")
	process.Stderr = writer
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	var log e2e.LockedBuffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(&log, reader)
	}()
	public, admin := addresses(t, log.String)
	reader.Close()
	<-read
	ask(t, http.MethodPost, public+"/graphql", `{"query":"{ companies { id } }"}`)
	lost := regexp.MustCompile(`(?m)^consoleql_log_lines_lost_total [1-9]`)
	e2e.Await(t, "a counted loss", func() bool { return lost.MatchString(ask(t, http.MethodGet, admin+"/metrics", "")) })
	if err := process.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := process.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
}
