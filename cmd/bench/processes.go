package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/consoleql/consoleql/internal/consoleclient"
)

// startWait bounds the start of a process.
const startWait = 30 * time.Second

// process is one that was started here, with what it has printed.
type process struct {
	command *exec.Cmd
	printed *printed
	ended   chan struct{}
}

// printed is a buffer that goroutines share.
type printed struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// start starts a process and waits until what it prints matches ready, whose groups
// are returned.
func (b *bench) start(ctx context.Context, ready *regexp.Regexp, env []string, path string, args ...string) (*process, []string, error) {
	p := &process{command: exec.Command(path, args...), printed: &printed{}, ended: make(chan struct{})} //nolint:gosec // our own programs
	p.command.Env = append(os.Environ(), env...)
	p.command.Stdout, p.command.Stderr = p.printed, p.printed
	if err := p.command.Start(); err != nil {
		return nil, nil, err
	}
	go func() {
		_ = p.command.Wait() // it is stopped, or its end is noticed by what it no longer answers
		close(p.ended)
	}()
	b.processes = append(b.processes, p)
	for deadline := time.Now().Add(startWait); ; {
		if found := ready.FindStringSubmatch(p.printed.String()); found != nil {
			return p, found, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-p.ended:
			return nil, nil, fmt.Errorf("%s has ended: %s", filepath.Base(path), p.printed)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return nil, nil, fmt.Errorf("%s does not start: %s", filepath.Base(path), p.printed)
		}
	}
}

// stop ends a process and waits for it.
func (b *bench) stop(p *process) {
	_ = p.command.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		_ = p.command.Process.Kill()
		<-p.ended
	}
}

func (b *bench) stopAll() {
	for _, p := range b.processes {
		b.stop(p)
	}
	b.processes = nil
}

// build builds the gateway that is measured.
func (b *bench) build(ctx context.Context) error {
	b.gateway = filepath.Join(b.dir, "consoleql")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", b.gateway, "./cmd/server").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the gateway: %w: %s", err, out)
	}
	return nil
}

// console is the simulated one.
type console struct {
	api, sso, user, password, company, department, workflow string
}

var simulating = regexp.MustCompile(`(\S+) is the API gateway\n(\S+) is the SSO\n\S+ is the upload storage\nuser ([^,]+), password ([^,]+), CompanyId ([^,]+), DepartmentId (\S+)`) //nolint:gochecknoglobals // constant

func (b *bench) startConsole(ctx context.Context, latency time.Duration) (*console, error) {
	_, said, err := b.start(ctx, simulating, nil, b.gateway, "simulate", "--log-level=error", "--latency="+latency.String(),
		"--api-listen=127.0.0.1:0", "--sso-listen=127.0.0.1:0", "--storage-listen=127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &console{api: said[1], sso: said[2], user: said[3], password: said[4], company: said[5], department: said[6]}, nil
}

// tokens are n tokens of the console's user. As nobody verifies them, each is a
// principal of its own to the gateway.
func (c *console) tokens(ctx context.Context, n int) ([]string, error) {
	sso, err := consoleclient.NewSSO(consoleclient.Options{SSOURL: c.sso})
	if err != nil {
		return nil, err
	}
	defer sso.CloseIdleConnections()
	tokens := make([]string, n)
	for i := range tokens {
		t, err := sso.Password(ctx, c.user, c.password)
		if err != nil {
			return nil, err
		}
		tokens[i] = t.Access
	}
	return tokens, nil
}

var redisReady = regexp.MustCompile(`Ready to accept connections`) //nolint:gochecknoglobals // constant

func (b *bench) startRedis(ctx context.Context) (url string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return "", err
	}
	_, port, _ := net.SplitHostPort(address)
	_, _, err = b.start(ctx, redisReady, nil, "redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no")
	return "redis://" + address, err
}

// target is what is put under load.
type target struct {
	*process
	url, metrics string // metrics is empty where there are none
}

var gatewayReady = regexp.MustCompile(`(?s)"url":"(http://[^"]+)".*"admin_address":"([^"]+)"`) //nolint:gochecknoglobals // constant

func (b *bench) startGateway(ctx context.Context, c *console, redis string, cached bool) (*target, error) {
	cache := map[bool]string{true: "on", false: "off"}[cached]
	env := []string{
		"CONSOLEQL_CONSOLE_URL=" + c.api, "CONSOLEQL_SSO_URL=" + c.sso, "CONSOLEQL_USERNAME=" + c.user, "CONSOLEQL_PASSWORD=" + c.password,
		"CONSOLEQL_ANONYMOUS=true", "CONSOLEQL_COMPANY_ID=" + c.company, "CONSOLEQL_DEPARTMENT_ID=" + c.department,
		"CONSOLEQL_REDIS_URL=" + redis, "CONSOLEQL_CACHE=" + cache,
	}
	p, said, err := b.start(ctx, gatewayReady, env, b.gateway, "serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--log-format=json")
	if err != nil {
		return nil, err
	}
	t := &target{process: p, url: said[1] + "/graphql", metrics: "http://" + said[2] + "/metrics"}
	if c.workflow == "" {
		answer, err := t.ask(ctx, "{ workflows(first: 1) { nodes { id } } }")
		if err != nil {
			return nil, err
		}
		id := regexp.MustCompile(`"id":"([^"]+)"`).FindSubmatch(answer)
		if id == nil {
			return nil, fmt.Errorf("the console has no workflow: %s", answer)
		}
		c.workflow = string(id[1])
	}
	return t, nil
}

// ask sends an operation once.
func (t *target) ask(ctx context.Context, operation string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, strings.NewReader(body(operation)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	answer, err := fetch(req)
	if err == nil && bytes.Contains(answer, []byte(`"errors"`)) {
		err = fmt.Errorf("the gateway answers %.500s", answer)
	}
	return answer, err
}

func fetch(req *http.Request) ([]byte, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %.200s", resp.StatusCode, text)
	}
	return text, err
}

// ceilingCommand lets this program be the bare handler.
const ceilingCommand = "ceiling"

var ceilingReady = regexp.MustCompile(`serving (\S+)`) //nolint:gochecknoglobals // constant

func (b *bench) startCeiling(ctx context.Context, answer []byte) (*target, error) {
	path := filepath.Join(b.dir, "answer")
	if err := os.WriteFile(path, answer, 0o600); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p, said, err := b.start(ctx, ceilingReady, nil, self, ceilingCommand, path)
	if err != nil {
		return nil, err
	}
	return &target{process: p, url: said[1]}, nil
}

// serveCeiling writes the bytes of a file to whoever asks, as net/http does at best.
func serveCeiling(args []string) error {
	if len(args) != 1 {
		return errors.New("ceiling wants a file")
	}
	answer, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("serving http://%s/\n", l.Addr())
	length := []string{strconv.Itoa(len(answer))}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"], w.Header()["Content-Length"] = []string{"application/json"}, length
		_, _ = w.Write(answer) // a client that went away is no matter here
	})}
	return server.Serve(l)
}
