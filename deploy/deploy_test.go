// Package deploy_test tests the deployment files with the gateway.
package deploy_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

type service struct {
	Image       string            `yaml:"image"`
	Ports       []string          `yaml:"ports"`
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	ReadOnly    bool              `yaml:"read_only"`
	CapDrop     []string          `yaml:"cap_drop"`
	SecurityOpt []string          `yaml:"security_opt"`
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

// TestComposeKnowsTheSimulatorsAccount verifies that account and scope in compose.yaml equal
// those of the simulator's default seed.
func TestComposeKnowsTheSimulatorsAccount(t *testing.T) {
	t.Parallel()
	sim := simulator(t)
	username, password := sim.DefaultUser()
	got := compose(t)["gateway"].Environment
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

func TestComposeConfinesEveryService(t *testing.T) {
	t.Parallel()
	services := compose(t)
	for _, name := range []string{"gateway", "redis", "simulator"} {
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
