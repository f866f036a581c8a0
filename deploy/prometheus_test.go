package deploy_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// TestPromtool has promtool check rules and configuration, and run the tests of the rules.
func TestPromtool(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var rules map[string]any
	decodeFile(t, "prometheus-rules.yaml", &rules)
	groups, _ := rules["groups"].([]any)
	for _, g := range groups {
		group, _ := g.(map[string]any)
		all, _ := group["rules"].([]any)
		for _, r := range all {
			if rule, ok := r.(map[string]any); ok {
				delete(rule, "annotations")
			}
		}
	}
	stripped, err := yaml.Marshal(rules)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"prometheus-rules.yaml": string(stripped), "test.yaml": readText(t, "prometheus-rules-test.yaml")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"check", "rules", "prometheus-rules.yaml"}, {"check", "config", "prometheus.yml"}, {"test", "rules", filepath.Join(dir, "test.yaml")},
	} {
		if said, err := exec.Command("promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %q: %v\n%s", args, err, said)
		}
	}
}

// TestRulesAreTested verifies that each alert that was asked for has a test.
func TestRulesAreTested(t *testing.T) {
	t.Parallel()
	tests := readText(t, "prometheus-rules-test.yaml")
	for _, name := range []string{"ServiceAccountRefused", "PartFailing", "UnauthenticatedJump", "NotFoundJump", "BreakerOpen", "RequestsShed", "AuditLinesLost"} {
		if !strings.Contains(tests, "alertname: ConsoleQL"+name) {
			t.Errorf("the alert %s has no test", name)
		}
	}
}

// TestPrometheus runs a real Prometheus with prometheus.yml on two gateways.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	sim := simulator(t)
	first, second := serve(t, sim, nil), serve(t, sim, nil)
	dir, address := t.TempDir(), freeAddress(t)
	config := strings.NewReplacer(
		"gateway:9090", strings.TrimPrefix(first.admin, "http://"), "gateway-2:9090", strings.TrimPrefix(second.admin, "http://"), "15s", "500ms",
	).Replace(readText(t, "prometheus.yml"))
	for name, text := range map[string]string{"prometheus.yml": config, "prometheus-rules.yaml": readText(t, "prometheus-rules.yaml")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var said bytes.Buffer
	cmd := exec.Command("prometheus", "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // the test is over
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("prometheus: %s", &said)
		}
	})
	ask := func(path string, into any) bool {
		resp, err := http.Get("http://" + address + path)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK && json.NewDecoder(resp.Body).Decode(into) == nil
	}
	var sum struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	var rules struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError, State string }
			}
		}
	}
	evaluated := func() bool {
		if !ask("/api/v1/rules", &rules) || len(rules.Data.Groups) != 1 {
			return false
		}
		for _, r := range rules.Data.Groups[0].Rules {
			if r.Health != "ok" || r.State != "inactive" { // ConsoleQLDown is pending until the first scrape
				return false
			}
		}
		return len(rules.Data.Groups[0].Rules) == len(alerts(t))
	}
	query := "/api/v1/query?query=" + url.QueryEscape(`sum(up{job="consoleql"} * on (instance) consoleql_cache_trusted)`)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if ask(query, &sum) && len(sum.Data.Result) == 1 && sum.Data.Result[0].Value[1] == "2" && evaluated() {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the sum is %+v, the rules are %+v", sum, rules)
		}
	}
}
