package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
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
		`consoleql: Upload (` + path + `): 3 calls, more than 2`,
	} {
		if !strings.Contains(log, line) {
			t.Errorf("no line %q in\n%s", line, log)
		}
	}
	if strings.Contains(log, "Cheap") || strings.Count(log, "consoleql: ") != 6 { // one line sums up
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

// TestCheckMutations verifies that mutations do not see the changes of each other, and which of them are only planned.
func TestCheckMutations(t *testing.T) {
	folder := t.TempDir()
	sim, err := consolesim.Start(t.Context(), consolesim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	queue := sim.Data().QueueIDs(sim.Data().MainDepartmentID())[0]
	files := map[string]string{
		"one.json":           `{"a":"mutation Delete($id: ID!) { deleteQueue(input: {id: $id}) { deletedId } }","b":"mutation SignOut { ...S } fragment S on Mutation { signOut { ok } }"}`,
		"one.variables.json": fmt.Sprintf(`{"Delete":{"id":%q}}`, queue),
		"two.json": `{"c":"mutation Again($id: ID!) { deleteQueue(input: {id: $id}) { deletedId } }","d":"mutation File($f: Upload!) { uploadPackage(input: {file: $f}) { packageName } }",
			"e":"mutation Input($input: UploadPackageInput!) { uploadPackage(input: $input) { packageName } }","f":"query Queue($id: ID!) { queue(id: $id) { name } }",
			"g":"mutation Null($input: UploadPackageInput!) { uploadPackage(input: $input) { packageName } }"}`,
		"two.variables.json":    fmt.Sprintf(`{"Again":{"id":%q},"Queue":{"id":%[1]q},"Null":{"input":{"file":null,"size":7}}}`, queue),
		"two.descriptions.json": `{"Queue":"A queue."}`,
	}
	var paths []string
	for name, text := range files {
		paths = append(paths, filepath.Join(folder, name))
		if err := os.WriteFile(paths[len(paths)-1], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{folder}, paths} {
		code, out, log := check(t, append([]string{"--format=json"}, args...)...)
		var results []documentcheck.Result
		if err := json.Unmarshal([]byte(out), &results); err != nil || code != 0 {
			t.Fatalf("exit status %d: %v\n%s", code, err, log)
		}
		planned := map[string]bool{"Delete": false, "SignOut": true, "Again": false, "File": true, "Input": true, "Null": true, "Queue": false}
		for _, r := range results {
			if r.Planned != planned[r.Name] || r.Calls == 0 && r.Name != "SignOut" {
				t.Errorf("%+v", r)
			}
		}
		if len(results) != len(planned) {
			t.Errorf("%d results", len(results))
		}
	}
	if code, _, log := check(t, filepath.Join(folder, "one.variables.json")); code == 0 || !strings.Contains(log, "one.variables.json is no manifest") {
		t.Errorf("variables alone: exit status %d: %s", code, log)
	}
}

// TestCheckPlans verifies that a plan which is refused fails, and that one which ends early is over any budget.
func TestCheckPlans(t *testing.T) {
	path := filepath.Join(t.TempDir(), "manifest.json")
	text := `{
		"early": "subscription Early { robotChanged { department { queues(first: 500) { nodes { robots(first: 500) { nodes { name } } } } } } }",
		"refused": "subscription Refused { robotChanged { department { queues(first: 500) { nodes { a: robots(first: 1, filter: {name: \"a\"}) { nodes { name } } b: robots(first: 1, filter: {name: \"b\"}) { nodes { name } } c: robots(first: 1, filter: {name: \"c\"}) { nodes { name } } d: robots(first: 1, filter: {name: \"d\"}) { nodes { name } } } } } } }"
	}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, log := check(t, path)
	if code != 1 || !strings.Contains(log, "Refused ("+path+"): the operation needs ") || strings.Contains(log, "Early") {
		t.Errorf("exit status %d: %s", code, log)
	}
	if !regexp.MustCompile(`(?m)^ *\d+\+ .* Early `).MatchString(out) || !regexp.MustCompile(`(?m)^ *- .* Refused `).MatchString(out) {
		t.Errorf("printed\n%s", out)
	}
	if code, _, log = check(t, path, "--max-calls=100000"); code != 1 || !strings.Contains(log, "+ calls, perhaps more than 100000") {
		t.Errorf("exit status %d: %s", code, log)
	}
}

// TestCheckIDs verifies that `check` compares ids over all manifests of a folder, and not over those of several.
func TestCheckIDs(t *testing.T) {
	one, other := t.TempDir(), t.TempDir()
	for path, text := range map[string]string{
		filepath.Join(one, "a.json"): `{"x":"query A { __typename }"}`, filepath.Join(one, "b.json"): `{"x":"query B { __typename }"}`, filepath.Join(other, "a.json"): `{"x":"query C { __typename }"}`,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{one}, {filepath.Join(one, "a.json"), filepath.Join(one, "b.json")}} {
		if code, _, log := check(t, args...); code == 0 || strings.Count(log, "its id has two texts") != 2 {
			t.Errorf("%v: exit status %d: %s", args, code, log)
		}
	}
	if code, _, log := check(t, filepath.Join(one, "a.json"), other); code != 0 {
		t.Errorf("two folders: exit status %d: %s", code, log)
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
