package deploy_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/consoleql/consoleql/test/e2e"
)

// freeAddress returns an address of this machine on which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// nginxInFront starts nginx with nginx.conf in front of two addresses, and returns its URL and a client that trusts it.
func nginxInFront(t *testing.T, first, second string) (string, *http.Client) {
	t.Helper()
	raw, err := os.ReadFile("nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	e2e.WriteCertificate(t, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), "consoleql.example")
	public := freeAddress(t)
	replaced := strings.NewReplacer(
		"127.0.0.1:8080", first, "127.0.0.1:8082", second, "listen 443 ssl", "listen "+public+" ssl",
		"/etc/ssl/consoleql.crt", filepath.Join(dir, "tls.crt"), "/etc/ssl/consoleql.key", filepath.Join(dir, "tls.key"),
	).Replace(string(raw))
	main := "daemon off; pid nginx.pid; error_log stderr warn; worker_processes 1; events {}\nhttp { access_log off;" +
		" client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n" + replaced + "}\n"
	if os.Getuid() == 0 {
		main = "user root;" + main
	}
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(main), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command("nginx", "-p", dir, "-c", path)
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = cmd.Process.Signal(syscall.SIGTERM) // the tests are over
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("nginx: %s", &said)
		}
	})
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", public)
		if err == nil {
			_ = conn.Close() // nginx listens
			return "https://" + public, client
		}
		if time.Now().After(deadline) {
			t.Fatalf("nginx does not listen: %v\n%s", err, &said)
		}
	}
}

// TestNginx verifies nginx.conf: queries, WebSockets, events that leave at once, and gateways that are restarted under
// load.
func TestNginx(t *testing.T) {
	t.Parallel()
	sim := simulator(t)
	addresses := []string{freeAddress(t), freeAddress(t)}
	start := func(i int) *gateway { return serve(t, sim, map[string]string{"CONSOLEQL_LISTEN": addresses[i]}) }
	gateways := []*gateway{start(0), start(1)}
	url, client := nginxInFront(t, addresses[0], addresses[1])

	conn, _, err := websocket.Dial(t.Context(), strings.Replace(url, "https", "wss", 1)+"/graphql", &websocket.DialOptions{HTTPClient: client, Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }() // the test is over
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"connection_init"}`)); err != nil {
		t.Fatal(err)
	}
	if _, ack, err := conn.Read(t.Context()); err != nil || !strings.Contains(string(ack), "connection_ack") {
		t.Errorf("received %s, %v", ack, err)
	}

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/graphql?query=subscription%7BrobotEvents(initial:true)%7Btype%7D%7D", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	events, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	first := make([]byte, 14)
	if _, err := io.ReadFull(events.Body, first); err != nil || string(first) != ":\n\nevent: next" {
		t.Errorf("the stream begins with %q, %v", first, err)
	}

	load := startLoad(t, client, url, sim.Data().WorkflowIDs(sim.Data().MainDepartmentID())[0])
	load.awaitMore(t, 50)
	for range *restarts {
		for i, g := range gateways {
			g.terminate()
			if err := g.cmd.Wait(); err != nil {
				t.Errorf("the gateway ended with %v", err)
			}
			load.awaitMore(t, 50)
			gateways[i] = start(i)
			load.awaitMore(t, 50)
		}
	}
	load.stop()
	asked, failed, executed := load.asked.Load(), load.failed.Load(), load.executed.Load()
	t.Logf("%d requests, %d executions, %d failures %q", asked, executed, failed, load.failures)
	if failed > asked/10_000 {
		t.Errorf("%d of %d requests failed", failed, asked)
	}
	if jobs := int64(len(sim.Data().Jobs())); jobs < executed || jobs > executed+failed {
		t.Errorf("%d jobs of %d executions that were answered and %d failures", jobs, executed, failed)
	}
}

// TestNginxIdleTimeoutIsShorter compares nginx.conf with the gateway's default.
func TestNginxIdleTimeoutIsShorter(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^\s*keepalive_timeout (\w+);`).FindStringSubmatch(string(raw))
	if found == nil {
		t.Fatal("nginx.conf has no keepalive_timeout of the upstream")
	}
	nginx, err := time.ParseDuration(found[1])
	if err != nil {
		t.Fatal(err)
	}
	gateway, err := time.ParseDuration(settingsInForce(t, nil)["CONSOLEQL_IDLE_TIMEOUT"])
	if err != nil || nginx >= gateway {
		t.Errorf("nginx keeps idle connections for %v, the gateway for %v (%v)", nginx, gateway, err)
	}
	if strings.Contains(regexp.MustCompile(`(?m)#.*$`).ReplaceAllString(string(raw), ""), "non_idempotent") {
		t.Error("nginx sends mutations twice")
	}
}
