package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	startWait = 20 * time.Second // bounds the start of a process
	stopWait  = 5 * time.Second  // bounds its end, before it is killed
	tries     = 5                // number of ports to try, since another process may take a free one
)

// process is a running program.
type process struct {
	name   string
	cmd    *exec.Cmd
	output *output
	ended  chan struct{}
}

// start runs a program until stop or the end of ctx.
func start(ctx context.Context, env []string, path string, args ...string) (*process, error) {
	p := &process{name: path, output: &output{}, ended: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, path, args...) //nolint:gosec // the programs under measurement
	p.cmd.Env = append(append(p.cmd.Environ(), "CONSOLEQL_SHUTDOWN_DELAY=0s"), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = stopWait
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the error only states the signal
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the process and waits for its end.
func (p *process) stop() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(stopWait):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// await waits until the process has printed a match, and returns the submatches.
func (p *process) await(ctx context.Context, pattern *regexp.Regexp) ([]string, error) {
	var found []string
	err := p.poll(ctx, func() bool {
		found = pattern.FindStringSubmatch(p.output.String())
		return found != nil
	})
	return found, err
}

// poll waits until done, for at most startWait.
func (p *process) poll(ctx context.Context, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", p.name, ctx.Err(), p.output)
		case <-p.ended:
			return fmt.Errorf("%s ended\n%s", p.name, p.output)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// startRedis starts a redis-server without persistence, and returns its URL.
func startRedis(ctx context.Context, dir string) (*process, string, error) {
	var failed error
	for range tries {
		port, err := freePort(ctx)
		if err != nil {
			return nil, "", err
		}
		p, err := start(ctx, nil, "redis-server", "--bind", "127.0.0.1", "--port", strconv.Itoa(port),
			"--dir", dir, "--save", "", "--appendonly", "no", "--daemonize", "no")
		if err != nil {
			return nil, "", err
		}
		_, failed = p.await(ctx, regexp.MustCompile("Ready to accept connections"))
		if failed == nil {
			return p, fmt.Sprintf("redis://127.0.0.1:%d/0", port), nil
		}
		p.stop()
	}
	return nil, "", failed
}

func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.New("find a free port: no TCP address")
	}
	return address.Port, nil
}

// maxOutput bounds the stored output of a process. Its beginning has the address or the error.
const maxOutput = 64 << 10

// output is the output of a process. It can be read while the process writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

var _ io.Writer = (*output)(nil)

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p[:min(len(p), maxOutput-o.text.Len())])
	return len(p), nil
}

// String implements fmt.Stringer.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
