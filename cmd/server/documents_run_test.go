package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/redistest"
	"github.com/consoleql/consoleql/test/e2e"
)

// shell runs what a document prints, unchanged. The program is this test. Functions stand for commands that a reader gives
// in another terminal, and put the gateway's addresses in place of the default ones.
const shell = `set -euo pipefail
trap 'kill $(jobs -p) || true; wait' EXIT
n=0
consoleql() { TEST_RUNS_MAIN=1 "$PROGRAM" "$@"; }
start() { # runs a command that serves
	n=$((n + 1)); local log=$n.log
	CONSOLEQL_LISTEN=127.0.0.1:0 CONSOLEQL_ADMIN_LISTEN=127.0.0.1:0 CONSOLEQL_LOG_FORMAT=json CONSOLEQL_SHUTDOWN_DELAY=0s \
		CONSOLEQL_POLL_INTERVAL=100ms TEST_RUNS_MAIN=1 "$PROGRAM" "$@" >/dev/null 2>$log &
	until grep -q '"msg":"admin listening"' $log; do
		kill -0 $! || { cat $log >&2; exit 1; }
		sleep 0.05
	done
	GATEWAY=$(jq -r 'select(.msg == "listening").url' $log)
	ADMIN=http://$(jq -r 'select(.msg == "admin listening").admin_address' $log)
}
go() { [ "$1 $2" = "run ./cmd/server" ]; start "${@:3}"; }
make() { command make --silent --directory "$REPOSITORY" "$@"; }
curl() {
	set -- "${@/#http:\/\/127.0.0.1:8080/$GATEWAY}"
	set -- "${@/#localhost:8080/$GATEWAY}"
	command curl --silent --show-error --fail "${@/#http:\/\/127.0.0.1:9090/$ADMIN}"
}
`

// serving starts a gateway that acts as the console's user for callers without credentials.
const serving = `CONSOLEQL_USERNAME=$SIM_USER CONSOLEQL_PASSWORD=$SIM_PASSWORD CONSOLEQL_ANONYMOUS=true CONSOLEQL_COMPANY_ID=$COMPANY CONSOLEQL_DEPARTMENT_ID=$DEPARTMENT start serve
`

// preparations are what a document's reader has done before its commands. Other documents start their own gateways.
var preparations = map[string]string{
	"docs/caching.md":       serving,
	"docs/clients.md":       serving,
	"docs/subscriptions.md": serving,
	// Workflows are stale, and robots past their life, at once: the document tells what is so after seconds.
	"docs/explain.md": "export CONSOLEQL_CACHE_LIFE=workflows=1ns,robots=1ns,queues=1h CONSOLEQL_CACHE_STALE_WHILE_REVALIDATE=workflows=1h,robots=0s\n",
	"docs/operations.md": `consoleql api-key >made
printf '{"accounts": [{"name": "solo", "username": "%s", "password": "%s"}], "keys": [{"name": "robots-at-night", "account": "solo", "hash": "%s"}]}' \
	"$SIM_USER" "$SIM_PASSWORD" "$(sed -n 's/^hash: //p' made)" >keys.json
CONSOLEQL_API_KEYS_FILE=keys.json CONSOLEQL_REDIS_URL=$REDIS start serve
`,
}

// replacements replaces what a reader replaces, and shortens a profile.
func replacements(sim *consolesim.Server) *strings.Replacer {
	username, password := sim.DefaultUser()
	return strings.NewReplacer(
		"http://console.example:8080", sim.APIURL(), "http://console.example:81", sim.SSOURL(),
		`"username": "…", "password": "…"`, fmt.Sprintf(`"username": %q, "password": %q`, username, password),
		"CONSOLEQL_USERNAME=dashboards", "CONSOLEQL_USERNAME="+username, "/run/secrets/console", "password",
		"seconds=10", "seconds=1",
	)
}

// play runs the commands of a document in one shell, in front of a simulated console.
func play(t *testing.T, path string, all []*example) {
	t.Helper()
	running := slices.DeleteFunc(slices.Clone(all), func(e *example) bool { return e.expectation.output == "" })
	if len(running) == 0 {
		return
	}
	sim := e2e.NewSim(t, consolesim.Options{})
	username, password := sim.DefaultUser()
	files := map[string]string{"password": password, "package.dgs": "a package", "persisted-query-manifest.json": documentsOfClients}
	script := shell + preparations[path]
	for i, e := range running {
		name := fmt.Sprintf("./%d.sh", i)
		files[name] = replacements(sim).Replace(e.text)
		run := fmt.Sprintf("this=%s; . $this\n%s\n", name, e.expectation.then)
		if e.expectation.stream {
			run = fmt.Sprintf("grep -Em1 '%s' < <(. %s)\n", e.expectation.output, name)
		}
		script += "printf '\\036'\n" + run
	}
	for _, e := range all {
		if strings.HasPrefix(e.text, `{ "Dashboard"`) {
			files["persisted-query-manifest.variables.json"] = e.text
		}
	}
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	printed := strings.Split(bash(t, dir, script, map[string]string{
		"CONSOLEQL_CONSOLE_URL": sim.APIURL(), "CONSOLEQL_SSO_URL": sim.SSOURL(), "SIM_USER": username, "SIM_PASSWORD": password, "KEY": "long and random",
		"COMPANY": sim.Data().MainCompanyID(), "DEPARTMENT": sim.Data().MainDepartmentID(), "TOKEN": sim.Token(username),
		"WORKFLOW": sim.Data().WorkflowIDs(sim.Data().MainDepartmentID())[0], "REDIS": redistest.Start(t).URL(),
	}), "\036")[1:]
	for i, e := range running {
		if i >= len(printed) {
			t.Fatalf("the shell ended before\n%s", e.text)
		}
		e.printed = strings.NewReplacer(sim.Data().MainCompanyID(), "COMPANY", sim.Data().MainDepartmentID(), "DEPARTMENT").Replace(printed[i])
		if !regexp.MustCompile(e.expectation.output).MatchString(e.printed) {
			t.Errorf("%s\nprints\n%s\nwhich is not %s", e.text, e.printed, e.expectation.output)
		}
	}
}

// bash runs a script in a folder and returns what it has printed.
func bash(t *testing.T, dir, script string, settings map[string]string) string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(repository)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	var out, log bytes.Buffer
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = dir, &out, &log, time.Second
	cmd.Env = slices.DeleteFunc(os.Environ(), func(line string) bool { return strings.HasPrefix(line, "CONSOLEQL_") })
	cmd.Env = append(cmd.Env, "PROGRAM="+program, "REPOSITORY="+root)
	for name, value := range settings {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if err := cmd.Run(); err != nil {
		t.Errorf("%v\n%s", err, &log)
	}
	return out.String()
}

// compare compares an example with what its command has printed.
func (a answer) compare(t *testing.T, text string, all []*example) {
	t.Helper()
	i := slices.IndexFunc(all, func(e *example) bool { return strings.HasPrefix(e.text, a.of) })
	if i < 0 {
		t.Fatalf("no command begins with %s", a.of)
	}
	changing := regexp.MustCompile(a.changing)
	if a.nth == 0 {
		words := func(text string) []string { return strings.Fields(changing.ReplaceAllString(text, "…")) }
		if diff := cmp.Diff(words(text), words(all[i].printed)); diff != "" {
			t.Errorf("the document differs from what is printed:\n%s\n%s", diff, all[i].printed)
		}
		return
	}
	var want, got any
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	values := json.NewDecoder(strings.NewReader(all[i].printed))
	for range a.nth {
		got = nil
		if err := values.Decode(&got); err != nil {
			t.Fatalf("%v in\n%s", err, all[i].printed)
		}
	}
	if diff := cmp.Diff(normalizeValue(want, changing, ""), normalizeValue(got, changing, "")); diff != "" {
		t.Errorf("the document differs from what is printed:\n%s", diff)
	}
}

// normalizeValue returns a value whose members with a changing name have their type instead of a value. Lists are
// sorted: calls of one round begin in any order.
func normalizeValue(v any, changing *regexp.Regexp, name string) any {
	switch v := v.(type) {
	case map[string]any:
		all := maps.Clone(v)
		for name, member := range v {
			all[name] = normalizeValue(member, changing, name)
		}
		return all
	case []any:
		all := slices.Clone(v)
		for i, element := range v {
			all[i] = normalizeValue(element, changing, name)
		}
		slices.SortFunc(all, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		return all
	}
	if name != "" && changing.MatchString(name) {
		return fmt.Sprintf("%T", v)
	}
	return v
}
