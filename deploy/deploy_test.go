// Package deploy_test tests the deployment files with the gateway.
package deploy_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

type service struct {
	Volumes     []string          `yaml:"volumes"`
	Image       string            `yaml:"image"`
	Ports       []string          `yaml:"ports"`
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	ReadOnly    bool              `yaml:"read_only"`
	CapDrop     []string          `yaml:"cap_drop"`
	SecurityOpt []string          `yaml:"security_opt"`
	GracePeriod string            `yaml:"stop_grace_period"`
}

func compose(t *testing.T) map[string]service {
	t.Helper()
	raw, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Services map[string]service `yaml:"services"`
	}
	if err := yaml.Unmarshal(raw, &file); err != nil {
		t.Fatalf("compose.yaml: %v", err)
	}
	return file.Services
}

// TestComposeAccountMatchesSimulator verifies that account and scope in compose.yaml equal
// those of the simulator's default seed.
func TestComposeAccountMatchesSimulator(t *testing.T) {
	t.Parallel()
	sim := simulator(t)
	username, password := sim.DefaultUser()
	got := compose(t)["gateway"].Environment
	if !maps.Equal(got, compose(t)["gateway-2"].Environment) {
		t.Error("the gateways have different settings")
	}
	for name, want := range map[string]string{
		"CONSOLEQL_USERNAME":      username,
		"CONSOLEQL_PASSWORD":      password,
		"CONSOLEQL_COMPANY_ID":    sim.Data().MainCompanyID(),
		"CONSOLEQL_DEPARTMENT_ID": sim.Data().MainDepartmentID(),
	} {
		if got[name] != want {
			t.Errorf("%s = %q, want the simulator's %q", name, got[name], want)
		}
	}
}

func TestComposeRestrictsServices(t *testing.T) {
	t.Parallel()
	services := compose(t)
	for _, name := range []string{"gateway", "gateway-2", "nginx", "redis", "simulator", "prometheus", "grafana"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ok := services[name]
			if !ok {
				t.Fatal("no such service")
			}
			if s.Image == "" || !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
				t.Errorf("not confined: %+v", s)
			}
			for _, port := range s.Ports {
				if !strings.HasPrefix(port, "127.0.0.1:") {
					t.Errorf("port %s is published beyond this machine, to callers without credentials", port)
				}
			}
		})
	}
}

// TestComposeMountsExist verifies that the files that compose.yaml mounts exist: Docker would create directories.
func TestComposeMountsExist(t *testing.T) {
	t.Parallel()
	for name, s := range compose(t) {
		for _, volume := range s.Volumes {
			from, _, _ := strings.Cut(volume, ":")
			if strings.HasPrefix(from, ".") && len(readText(t, from)) == 0 {
				t.Errorf("%s: %s is empty", name, from)
			}
		}
	}
}

// TestGracePeriods verifies that a gateway with the default settings is not killed before it has drained, and that it does
// not cut a mutation that was sent.
func TestGracePeriods(t *testing.T) {
	t.Parallel()
	duration := func(text string) time.Duration {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	unit := regexp.MustCompile(`(?m)^TimeoutStopSec=(.*)$`).FindStringSubmatch(readText(t, "systemd/consoleql.service"))
	if unit == nil {
		t.Fatal("the unit of systemd has no TimeoutStopSec")
	}
	services := compose(t)
	for name, c := range map[string]struct {
		settings map[string]string
		grace    string
	}{
		"systemd":   {nil, unit[1]},
		"gateway":   {services["gateway"].Environment, services["gateway"].GracePeriod},
		"gateway-2": {services["gateway-2"].Environment, services["gateway-2"].GracePeriod},
	} {
		s := settingsInForce(t, c.settings)
		timeout, write := duration(s["CONSOLEQL_SHUTDOWN_TIMEOUT"]), duration(s["CONSOLEQL_CONSOLE_WRITE_TIMEOUT"])
		if timeout < write {
			t.Errorf("%s: a mutation may take %v, and a stopping gateway waits for %v", name, write, timeout)
		}
		if needs := duration(s["CONSOLEQL_SHUTDOWN_DELAY"]) + timeout + 5*time.Second; duration(c.grace) < needs {
			t.Errorf("%s: a gateway is killed after %s, and needs %v", name, c.grace, needs)
		}
	}
}

// TestComposeNginx runs the command of the service nginx on nginx.conf, and has nginx check the result.
func TestComposeNginx(t *testing.T) {
	t.Parallel()
	command := compose(t)["nginx"].Command
	dir := t.TempDir()
	edit, _, found := strings.Cut(command[len(command)-1], " > ")
	if !found {
		t.Fatalf("the command is %q", command)
	}
	path, err := filepath.Abs("nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sh", "-c", strings.Replace(edit, "/consoleql/nginx.conf", path, 1)).Output()
	if err != nil {
		t.Fatal(err)
	}
	text := string(out)
	for _, want := range []string{"server gateway:8080 ", "server gateway-2:8080 ", "listen 8080;"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "ssl") || strings.Contains(text, "127.0.0.1") {
		t.Errorf("rest of the original in\n%s", text)
	}
	text = strings.NewReplacer("gateway:8080", "127.0.0.1:1", "gateway-2:8080", "127.0.0.1:2").Replace(text) // names resolve in the network only
	main := "pid nginx.pid; events {}\nhttp {\n" + text + "}\n"
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(main), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command("nginx", "-t", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", "stderr").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
}
