package deploy_test

import (
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/consoleql/consoleql/internal/redistest"
)

// TestSettingsInFilesExist verifies that files name only existing settings, also in
// comments and alerts.
func TestSettingsInFilesExist(t *testing.T) {
	t.Parallel()
	known := settingsInForce(t, nil)
	if len(known) < 30 {
		t.Fatalf("config prints %d settings", len(known))
	}
	files, err := filepath.Glob("kubernetes/*/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("files of Kubernetes are %q, %v", files, err)
	}
	for _, file := range append(files, "prometheus-rules.yaml", "grafana-dashboard.json") {
		for _, name := range regexp.MustCompile(`CONSOLEQL_[A-Z0-9_]+`).FindAllString(readText(t, file), -1) {
			if _, ok := known[name]; !ok {
				t.Errorf("%s: there is no setting %s", file, name)
			}
		}
	}
	for name := range compose(t)["gateway"].Environment {
		if _, ok := known[name]; !ok {
			t.Errorf("compose.yaml: there is no setting %s", name)
		}
	}
}

func TestKubernetesSettingsAreValid(t *testing.T) {
	t.Parallel()
	given := kubernetes(t).config.Data
	got := settingsInForce(t, given)
	for name, value := range given {
		if got[name] != value {
			t.Errorf("%s: %q is taken as %q", name, value, got[name])
		}
	}
}

// TestKubernetesContainsNoSecret verifies that secrets come from an object outside of the files,
// so that no deployment uses known secrets.
func TestKubernetesContainsNoSecret(t *testing.T) {
	t.Parallel()
	m := kubernetes(t)
	made := readText(t, kubernetesBase+"/kustomization.yaml")
	secret := make(map[string]bool)
	for _, env := range m.container().Env {
		ref := env.ValueFrom.SecretKeyRef
		secret[env.Name] = true
		if ref.Name != "consoleql" || ref.Key != env.Name {
			t.Errorf("%s is not that of the Secret consoleql, but %+v", env.Name, ref)
		}
		if !strings.Contains(made, "create secret generic "+ref.Name) || !strings.Contains(made, "--from-literal="+ref.Key+"=") {
			t.Errorf("the comment does not say how to make %s", env.Name)
		}
	}
	if !secret["CONSOLEQL_REDIS_URL"] || !secret["CONSOLEQL_TOKEN_KEYS"] {
		t.Errorf("secrets are %v", secret)
	}
	for _, v := range m.deployment.Spec.Template.Spec.Volumes {
		if !strings.Contains(made, "create secret generic "+v.Secret.SecretName+" --from-file=") {
			t.Errorf("the comment does not say how to make the Secret %s", v.Secret.SecretName)
		}
	}
	for name, value := range m.config.Data {
		if secret[name] || regexp.MustCompile(`PASSWORD$|_KEYS$|REDIS|USERNAME`).MatchString(name) || strings.Contains(value, "@") {
			t.Errorf("%s is no matter of a ConfigMap", name)
		}
	}
	for _, placeholder := range []string{"CONSOLEQL_CONSOLE_URL", "CONSOLEQL_SSO_URL"} {
		if !strings.Contains(m.config.Data[placeholder], ".example:") {
			t.Errorf("%s = %s could be somebody's", placeholder, m.config.Data[placeholder])
		}
	}
	if image := m.container().Image; !regexp.MustCompile(`^[a-z.]+\.example/consoleql:[^:]+$`).MatchString(image) {
		t.Errorf("the image %s could be somebody's", image)
	}
}

func TestKubernetesPortsMatch(t *testing.T) {
	t.Parallel()
	m := kubernetes(t)
	for port, setting := range map[string]string{"http": "CONSOLEQL_LISTEN", "admin": "CONSOLEQL_ADMIN_LISTEN"} {
		if want := net.JoinHostPort("0.0.0.0", strconv.Itoa(m.port(port))); m.config.Data[setting] != want {
			t.Errorf("%s = %s, and the port %s is %s", setting, m.config.Data[setting], port, want)
		}
	}
	annotations := m.deployment.Spec.Template.Metadata.Annotations
	if annotations["prometheus.io/scrape"] != "true" || annotations["prometheus.io/port"] != strconv.Itoa(m.port("admin")) {
		t.Errorf("Prometheus got %v", annotations)
	}
	for _, p := range m.service.Spec.Ports {
		if p.TargetPort != "http" {
			t.Errorf("the Service leads to the port %s", p.TargetPort)
		}
	}
	public := false
	for _, rule := range m.policy.Spec.Ingress {
		for _, p := range rule.Ports {
			public = public || p.Port == "http" && len(rule.From) == 0
			if p.Port != "http" && len(rule.From) == 0 {
				t.Errorf("everybody may come to the port %s", p.Port)
			}
			if m.port(p.Port) == 0 {
				t.Errorf("the policy is about a port %s, which there is not", p.Port)
			}
		}
		if len(rule.Ports) == 0 {
			t.Error("a rule opens all ports")
		}
	}
	if !public {
		t.Error("nobody may come to the public listener")
	}
}

func TestKubernetesReferencesResolve(t *testing.T) {
	t.Parallel()
	m := kubernetes(t)
	spec := m.deployment.Spec
	labels := spec.Template.Metadata.Labels
	selectors := map[string]map[string]string{
		"Deployment": spec.Selector.MatchLabels, "Service": m.service.Spec.Selector,
		"PodDisruptionBudget": m.budget.Spec.Selector.MatchLabels, "NetworkPolicy": m.policy.Spec.PodSelector.MatchLabels,
	}
	for _, s := range spec.Template.Spec.Spread {
		selectors["spread over "+s.TopologyKey] = s.LabelSelector.MatchLabels
	}
	for name, s := range selectors {
		if len(s) == 0 || !maps.Equal(s, labels) {
			t.Errorf("%s selects %v, and the pods have %v", name, s, labels)
		}
	}
	if len(spec.Template.Spec.Spread) == 0 {
		t.Error("replicas may all be on one node")
	}
	if spec.Template.Spec.ServiceAccountName != m.account.Metadata.Name {
		t.Errorf("the pods' account is %s", spec.Template.Spec.ServiceAccountName)
	}
	if from := m.container().EnvFrom; len(from) != 1 || from[0].ConfigMapRef.Name != m.config.Metadata.Name {
		t.Errorf("settings come from %+v", from)
	}
	if spec.Replicas < 2 || m.budget.Spec.MaxUnavailable < 1 || m.budget.Spec.MaxUnavailable >= spec.Replicas {
		t.Errorf("of %d replicas, %d may be away", spec.Replicas, m.budget.Spec.MaxUnavailable)
	}
	if !slices.Equal(m.container().Args, []string{"serve"}) {
		t.Errorf("the command is %q", m.container().Args)
	}
}

// TestKubernetesMountsKeyFile verifies that the file of API keys is where the settings say, in a directory, so that
// changes reach the pods.
func TestKubernetesMountsKeyFile(t *testing.T) {
	t.Parallel()
	m := kubernetes(t)
	pod, mounts := m.deployment.Spec.Template.Spec, m.container().VolumeMounts
	if len(mounts) != 1 || len(pod.Volumes) != 1 || mounts[0].Name != pod.Volumes[0].Name || !mounts[0].ReadOnly {
		t.Fatalf("%+v are mounted of %+v", mounts, pod.Volumes)
	}
	if file := m.config.Data["CONSOLEQL_API_KEYS_FILE"]; filepath.Dir(file) != mounts[0].MountPath {
		t.Errorf("%s is not in %s", file, mounts[0].MountPath)
	}
	if pod.SecurityContext.FSGroup != pod.SecurityContext.RunAsGroup {
		t.Errorf("the files belong to the group %d, and the gateway to %d", pod.SecurityContext.FSGroup, pod.SecurityContext.RunAsGroup)
	}
}

// kustomize builds a directory, as kubectl does with -k. It needs no network where scripts/install-test-needs was run.
func kustomize(t *testing.T, directory string) string {
	t.Helper()
	known, err := exec.Command("go", "env", "GOMODCACHE", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	cache, proxies, _ := strings.Cut(strings.TrimSpace(string(known)), "\n")
	var stderr strings.Builder
	build := exec.Command("go", "run", "sigs.k8s.io/kustomize/kustomize/v5@v5.8.1", "build", directory)
	// go run asks a proxy whether the module is deprecated, although it has the module. The cache answers first.
	build.Env = append(os.Environ(), "GOPROXY=file://"+filepath.ToSlash(cache)+"/cache/download|"+proxies)
	build.Stderr = &stderr
	out, err := build.Output()
	if err != nil {
		t.Fatalf("%s cannot be built: %v\n%s", directory, err, &stderr)
	}
	return string(out)
}

// TestKubernetesOverlay builds the overlay, and compares its objects with the base.
func TestKubernetesOverlay(t *testing.T) {
	t.Parallel()
	m := kubernetes(t)
	for _, document := range kubernetesFiles(t, "kubernetes/production") {
		if strings.Contains(document, "port: {name: ") && !strings.Contains(document, "port: {name: "+m.service.Spec.Ports[0].Name+"}") {
			t.Error("the Ingress leads to no port of the Service")
		}
		if strings.Contains(document, "- {port: admin") && m.port("admin") == 0 {
			t.Error("the PodMonitor asks a port that the pods do not have")
		}
	}
	var kinds []string
	for document := range strings.SplitSeq(kustomize(t, "kubernetes/production"), "\n---\n") {
		var h Head
		if err := yaml.Unmarshal([]byte(document), &h); err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, h.Kind)
		if h.Metadata.Name != "consoleql" {
			t.Errorf("the %s is named %s", h.Kind, h.Metadata.Name)
		}
		if h.Kind == "Deployment" && strings.Contains(document, "replicas:") {
			t.Error("the Deployment undoes what the HorizontalPodAutoscaler decides")
		}
	}
	slices.Sort(kinds)
	want := []string{"ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Ingress", "NetworkPolicy", "PodDisruptionBudget", "PodMonitor", "Service", "ServiceAccount"}
	if !slices.Equal(kinds, want) {
		t.Errorf("objects are %q, want %q", kinds, want)
	}
}

func TestKubernetesRestrictsContainers(t *testing.T) {
	t.Parallel()
	m := kubernetes(t)
	raw, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	pod := m.deployment.Spec.Template.Spec
	user := regexp.MustCompile(`(?m)^USER (\d+):(\d+)$`).FindStringSubmatch(string(raw))
	if p := pod.SecurityContext; user == nil || !p.RunAsNonRoot || strconv.Itoa(p.RunAsUser) != user[1] || strconv.Itoa(p.RunAsGroup) != user[2] || p.SeccompProfile.Type != "RuntimeDefault" {
		t.Errorf("pods run as %+v, the image as %v", p, user)
	}
	c := m.container().SecurityContext
	if c.AllowPrivilegeEscalation == nil || *c.AllowPrivilegeEscalation || !c.ReadOnlyRootFilesystem || !slices.Equal(c.Capabilities.Drop, []string{"ALL"}) {
		t.Errorf("the container may do %+v", c)
	}
	for name, on := range map[string]*bool{"the account's token": m.account.Automount, "the pod's token": pod.Automount, "service links": pod.EnableServiceLinks} {
		if on == nil || *on {
			t.Errorf("%s: not turned off", name)
		}
	}
}

// TestKubernetesGracePeriod verifies that a pod is not killed before it has drained.
func TestKubernetesGracePeriod(t *testing.T) {
	t.Parallel()
	m := kubernetes(t)
	seconds := func(name string) time.Duration {
		d, err := time.ParseDuration(m.config.Data[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return d
	}
	delay := seconds("CONSOLEQL_SHUTDOWN_DELAY")
	write, err := time.ParseDuration(settingsInForce(t, m.config.Data)["CONSOLEQL_CONSOLE_WRITE_TIMEOUT"])
	if err != nil || seconds("CONSOLEQL_SHUTDOWN_TIMEOUT") < write {
		t.Errorf("a mutation may take %v, and a stopping gateway waits for %v (%v)", write, seconds("CONSOLEQL_SHUTDOWN_TIMEOUT"), err)
	}
	needs := delay + seconds("CONSOLEQL_SHUTDOWN_TIMEOUT") + 5*time.Second // for the last traces and the kubelet
	if grace := time.Duration(m.deployment.Spec.Template.Spec.GracePeriodSeconds) * time.Second; grace < needs {
		t.Errorf("pods are killed after %v, and need %v", grace, needs)
	}
	if delay < 5*time.Second {
		t.Errorf("after %v some nodes still send requests to the pod", delay)
	}
}

// TestKubernetesMemoryFitsCaches verifies that the caches' defaults fit. A smaller
// container would silently have smaller caches.
func TestKubernetesMemoryFitsCaches(t *testing.T) {
	t.Parallel()
	m := kubernetes(t)
	r := m.container().Resources
	gib, err := strconv.ParseInt(strings.TrimSuffix(r.Limits["memory"], "Gi"), 10, 64)
	if err != nil || r.Requests["memory"] != r.Limits["memory"] || r.Requests["cpu"] == "" || r.Limits["cpu"] != "" {
		t.Fatalf("resources are %+v (%v)", r, err)
	}
	settings := settingsInForce(t, m.config.Data)
	for name, share := range map[string]int64{"CONSOLEQL_CACHE_BYTES": 2, "CONSOLEQL_ANSWER_BYTES": 8} {
		bytes, err := strconv.ParseInt(settings[name], 10, 64)
		if err != nil || bytes > gib<<30*9/10/share {
			t.Errorf("%s = %s is more than a container of %d GiB gives it (%v)", name, settings[name], gib, err)
		}
	}
}

// TestKubernetesProbes sends the kubelet's probes to a real gateway with the settings of the
// ConfigMap.
func TestKubernetesProbes(t *testing.T) {
	t.Parallel()
	m := kubernetes(t)
	sim := simulator(t)
	settings := maps.Clone(m.config.Data)
	settings["CONSOLEQL_SHUTDOWN_DELAY"] = "3s" // of which the test waits for all
	settings["CONSOLEQL_API_KEYS_FILE"] = filepath.Join(t.TempDir(), filepath.Base(m.config.Data["CONSOLEQL_API_KEYS_FILE"]))
	keys := "accounts: [{name: a, username: u, password: p}]\nkeys: [{name: k, account: a, hash: " + strings.Repeat("5a", 32) + "}]"
	if err := os.WriteFile(settings["CONSOLEQL_API_KEYS_FILE"], []byte(keys), 0o600); err != nil {
		t.Fatal(err)
	}
	settings["CONSOLEQL_TOKEN_KEYS"] = strings.Repeat("5a", 32)
	settings["CONSOLEQL_LISTEN"], settings["CONSOLEQL_ADMIN_LISTEN"] = "127.0.0.1:0", "127.0.0.1:0"

	t.Run("while it serves", func(t *testing.T) {
		t.Parallel()
		settings := maps.Clone(settings)
		settings["CONSOLEQL_REDIS_URL"] = redistest.Start(t).URL()
		g := serve(t, sim, settings)
		m.await(g, http.StatusOK)
		path := m.deployment.Spec.Template.Metadata.Annotations["prometheus.io/path"]
		if status, body := g.get(g.admin + path); status != http.StatusOK || !strings.Contains(body, "\nconsoleql_") {
			t.Errorf("Prometheus is answered %d", status)
		}
		for _, private := range []string{path, "/debug/pprof/"} {
			if status, _ := g.get(g.public + private); status != http.StatusNotFound {
				t.Errorf("the Service's callers are answered %d at %s", status, private)
			}
		}
		g.terminate()
		m.await(g, http.StatusServiceUnavailable)
		if err := g.cmd.Wait(); err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	t.Run("without its Redis", func(t *testing.T) {
		t.Parallel()
		settings := maps.Clone(settings)
		settings["CONSOLEQL_REDIS_URL"] = "redis://127.0.0.1:1/0"
		m.await(serve(t, sim, settings), http.StatusServiceUnavailable)
	})
}

// await waits until the readiness probe has a status, while the other probes must have 200.
func (m *manifests) await(g *gateway, ready int) {
	g.t.Helper()
	base := map[string]string{"http": g.public, "admin": g.admin}
	ask := func(p probe) int {
		status, _ := g.get(base[p.HTTPGet.Port] + p.HTTPGet.Path)
		return status
	}
	c := m.container()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		status := ask(c.Readiness)
		if status == ready {
			break
		}
		if status == 0 || time.Now().After(deadline) {
			g.t.Fatalf("the readiness probe is answered %d, want %d", status, ready)
		}
	}
	for name, p := range map[string]probe{"startup": c.Startup, "liveness": c.Liveness} {
		if status := ask(p); status != http.StatusOK {
			g.t.Errorf("the %s probe is answered %d", name, status)
		}
	}
}
