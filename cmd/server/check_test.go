package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/documentcheck"
)

// manifests is the folder of generated manifests and their example variables.
const manifests = "../../internal/trusteddocuments/testdata"

// check runs the command, and returns its exit status and what it has printed.
func check(t *testing.T, args ...string) (code int, out, log string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), append([]string{"check"}, args...), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestCheck(t *testing.T) {
	code, out, log := check(t, manifests, "--format=json", "--max-calls=3")
	if code != 0 {
		t.Fatalf("exit status %d: %s", code, log)
	}
	var results []documentcheck.Result
	if err := json.Unmarshal([]byte(out), &results); err != nil {
		t.Fatal(err)
	}
	type cost struct {
		Calls, Rounds, Depth int
		Planned, HasData     bool
	}
	got := make(map[string]cost)
	before := 1 << 20
	for _, r := range results {
		got[filepath.Base(r.File)+" "+r.Name] = cost{r.Calls, r.Rounds, r.Depth, r.Planned, r.Values > r.Depth && r.Bytes > 2*r.Values}
		if r.Calls > before {
			t.Errorf("%s with %d calls comes after %d calls", r.Name, r.Calls, before)
		}
		before = r.Calls
	}
	want := map[string]cost{
		"apollo.json RenameQueue": {1, 1, 3, false, true}, "apollo.json Robots": {1, 1, 3, false, true}, "apollo.json RobotStatus": {1, 1, 2, true, false},
		"codegen.json RenameQueue": {1, 1, 3, false, true}, "codegen.json Robots": {1, 1, 3, false, true}, "codegen.json RobotStatus": {1, 1, 2, true, false},
		"relay.json AppRenameMutation": {1, 1, 3, false, true}, "relay.json AppRobotsQuery": {1, 1, 3, false, true},
		"relay.json MoreRobotQuery": {1, 1, 2, false, true}, "relay.json MoreRobotsQuery": {1, 1, 4, false, true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCheckFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "manifest.json")
	text := `{
		"costly": "query Costly { workflows(first: 5) { nodes { robots { name } queue { name } package { name } } } }",
		"invalid": "query Invalid { robots { cheese } }",
		"variables": "query Variables($id: ID!) { queue(id: $id) { name } }",
		"input": "query Input { robots(first: -1) { totalCount } }",
		"upload": "mutation Upload($file: Upload!) { uploadPackage(input: {file: $file}) { packageId } }",
		"cheap": "query Cheap { queues(first: 1) { totalCount } }"
	}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, log := check(t, path, "--max-calls=2", "--scale=50")
	if code != 1 {
		t.Errorf("exit status %d", code)
	}
	for _, line := range []string{
		`consoleql: invalid (` + path + `): Cannot query field "cheese" on type "RobotConnection"`,
		`consoleql: Variables (` + path + `): GRAPHQL_VALIDATION_FAILED: variable $id`,
		`consoleql: Input (` + path + `): BAD_USER_INPUT`,
		`consoleql: Costly (` + path + `): 4 calls, more than 2`,
	} {
		if !strings.Contains(log, line) {
			t.Errorf("no line %q in\n%s", line, log)
		}
	}
	if strings.Contains(log, "Cheap") || strings.Count(log, "consoleql: ") != 6 { // the upload costs more than 2 calls, too, and one line sums up
		t.Errorf("said\n%s", log)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 7 || strings.Fields(lines[0])[0] != "calls" || !strings.Contains(lines[6], "Cheap") || strings.Fields(lines[6])[0] != "1" {
		t.Errorf("printed\n%s", out)
	}
	for name, args := range map[string][]string{
		"no file":       {},
		"absent":        {"absent.json"},
		"no manifest":   {"check_test.go"},
		"format":        {path, "--format=xml"},
		"calls":         {path, "--max-calls=-1"},
		"scale":         {path, "--scale=-1"},
		"bad variables": {badVariables(t)},
	} {
		if code, out, log := check(t, args...); code == 0 || out != "" || log == "" {
			t.Errorf("%s: exit status %d, %s%s", name, code, out, log)
		}
	}
}

// badVariables returns a manifest beside example variables that are no JSON object.
func badVariables(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "manifest.json")
	for file, text := range map[string]string{path: `{"a":"{ __typename }"}`, strings.TrimSuffix(path, ".json") + ".variables.json": `[]`} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}
