// Package redistest starts real redis-server processes for tests.
package redistest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// readyTimeout bounds the start and the stop of a server.
	readyTimeout = time.Minute
	// maxPortAttempts bounds the attempts to find a port, because another process may take a free one.
	maxPortAttempts = 5
)

// Server is a redis-server process on the loopback interface. It writes every change to the operating system before
// it replies, so that Restart loses nothing. Its methods fail the test on errors and must run on the test's
// goroutine.
type Server struct {
	t    testing.TB
	path string
	port int
	dir  string
	role role

	command *exec.Cmd
	exited  chan struct{}
	log     *output
}

// Start starts a server on a free port and stops it when the test ends. It fails the test if redis-server is not
// installed.
func Start(t testing.TB) *Server {
	t.Helper()
	return start(t, role{ready: loaded})
}

// role describes a server's replication role.
type role struct {
	arguments func(s *Server) []string // additional arguments; nil: none
	ready     string                   // line of INFO that reports readiness; empty: any
}

// loaded is the line of INFO after the data has been loaded.
const loaded = "loading:0"

// start starts a server with a role.
func start(t testing.TB, as role) *Server {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("these tests need redis-server, which `make test` installs: %v", err)
	}
	s := &Server{t: t, path: path, dir: t.TempDir(), role: as}
	t.Cleanup(s.Stop)
	for range maxPortAttempts {
		s.port = freePort(t)
		if err = s.run(); err == nil {
			return s
		}
		s.Stop()
	}
	t.Fatalf("redis-server does not start: %v\n%s", err, s.log)
	return nil
}

// Addr returns the server's address as host:port. A restart does not change it.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL returns the server's URL for go-redis.
func (s *Server) URL() string { return "redis://" + s.Addr() + "/0" }

// Stop kills the server if it runs. Connections break, and new ones are refused.
func (s *Server) Stop() {
	s.t.Helper()
	if s.command == nil {
		return
	}
	if err := s.command.Process.Kill(); err != nil {
		s.t.Logf("redis-server had ended: %v", err)
	}
	select {
	case <-s.exited:
	case <-time.After(readyTimeout):
		s.t.Errorf("redis-server does not end\n%s", s.log)
	}
	s.command = nil
}

// Restart stops the server if it runs, and starts it with its data.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	if err := s.run(); err != nil {
		s.t.Fatalf("redis-server does not start again: %v\n%s", err, s.log)
	}
}

// RestartEmpty stops the server if it runs, and starts it without data.
func (s *Server) RestartEmpty() {
	s.t.Helper()
	s.Stop()
	held, err := filepath.Glob(filepath.Join(s.dir, "*"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, path := range held {
		if err := os.RemoveAll(path); err != nil {
			s.t.Fatal(err)
		}
	}
	s.Restart()
}

// Pause suspends the server: connections stay open and get no reply.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume ends a Pause. The server then replies to the commands it received meanwhile.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

// signal sends sig to the server.
func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if s.command == nil {
		s.t.Fatalf("redis-server does not run: cannot send %v", sig)
	}
	if err := s.command.Process.Signal(sig); err != nil {
		s.t.Fatalf("send %v to redis-server: %v", sig, err)
	}
}

// run starts the process and waits until it replies.
func (s *Server) run() error {
	s.log = &output{}
	arguments := []string{"--bind", "127.0.0.1", "--port", strconv.Itoa(s.port), "--dir", s.dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "no",
		"--maxmemory-policy", "noeviction", "--daemonize", "no"}
	if s.role.arguments != nil {
		arguments = append(s.role.arguments(s), arguments...)
	}
	// The server outlives the test's context, because the test's cleanups need it.
	//nolint:gosec // the program that LookPath found, with arguments of this package
	s.command = exec.CommandContext(context.WithoutCancel(s.t.Context()), s.path, arguments...)
	s.command.Stdout, s.command.Stderr = s.log, s.log
	if err := s.command.Start(); err != nil {
		s.command = nil
		return fmt.Errorf("start redis-server: %w", err)
	}
	s.exited = make(chan struct{})
	go func(c *exec.Cmd, exited chan struct{}) {
		defer close(exited)
		_ = c.Wait() // a killed process always returns an error
	}(s.command, s.exited)
	for deadline := time.Now().Add(readyTimeout); ; {
		err := s.verifyProcess()
		if err == nil {
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("redis-server ended: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("redis-server is not ready: %w", err)
		}
	}
}

// verifyProcess fails unless the process on the port is the one started here and has loaded its data.
func (s *Server) verifyProcess() error {
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(s.t.Context(), "tcp", s.Addr())
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("INFO\r\nQUIT\r\n")); err != nil {
		return err
	}
	found := map[string]bool{}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		found[strings.TrimSpace(lines.Text())] = true
	}
	if process := fmt.Sprintf("process_id:%d", s.command.Process.Pid); !found[process] || s.role.ready != "" && !found[s.role.ready] {
		return fmt.Errorf("no answer with %s and %s from %s", process, s.role.ready, s.Addr())
	}
	return nil
}

// freePort returns a port that is free at the moment.
func freePort(t testing.TB) int {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer func() { _ = listener.Close() }()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("find a free port: %v is no TCP address", listener.Addr())
	}
	return address.Port
}

// output is the output of a process, which may be read while the process writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String implements fmt.Stringer.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
