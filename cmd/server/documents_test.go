package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/consoleql/consoleql/internal/apikey"
)

// expectation says how a test checks an example of a document.
type expectation struct {
	prefix string // what the example begins with

	output string // it runs, and prints this pattern
	then   string // what runs after it, in the same shell
	stream bool   // it prints without end

	named      bool                            // it takes minutes: what its commands name exists
	untestable bool                            // no test can run it
	check      func(t *testing.T, text string) // reads it
	testFile   string                          // file of the test that runs it
	sharedText string                          // what this file has of it; empty: the file reads the document
	answer     answer                          // it is what a command prints
}

// answer says which command prints an example.
type answer struct {
	of       string // what the command begins with
	nth      int    // which JSON value of its output, from 1; 0: it is a text
	changing string // pattern of the members whose values change, or of such words of a text
}

// example is a fenced block of a document, or a command in its prose.
type example struct {
	text, section string // with the document's head
	expectation   expectation
	printed       string // by its run
}

var (
	exampleForm = regexp.MustCompile("(?ms)^ *```([a-z]*)\\n(.*?)^ *```$|`([^`\\n]+)`")
	commandForm = regexp.MustCompile(`^(go|make|consoleql|config|curl|docker|kubectl|npm|npx|openssl|printf|kill|systemctl) `)
	testless    = regexp.MustCompile("No test|没有测试")
)

// documentExamples returns the examples of a document with their expectations. An example without one fails the test,
// and so does an expectation without an example.
func documentExamples(t *testing.T, path string) []*example {
	t.Helper()
	text, open := repositoryFile(t, path), slices.Clone(expectations[path])
	var all []*example
	for _, at := range exampleForm.FindAllStringSubmatchIndex(text, -1) {
		head, _, _ := strings.Cut(text, "\n## ")
		rest, _, _ := strings.Cut(text[at[1]:], "\n## ")
		e := &example{section: head + text[max(0, strings.LastIndex(text[:at[0]], "\n## ")):at[1]] + rest}
		switch inline := at[6] >= 0; {
		case inline && commandForm.MatchString(text[at[6]:at[7]]):
			e.text, e.expectation.named = text[at[6]:at[7]], true
		case inline || text[at[2]:at[3]] == "graphql":
			continue
		default:
			e.text = text[at[4]:at[5]]
		}
		words := strings.Join(strings.Fields(e.text), " ")
		if i := slices.IndexFunc(open, func(v expectation) bool { return strings.HasPrefix(words, v.prefix) }); i >= 0 {
			e.expectation = open[i]
			open = slices.Delete(open, i, i+1)
		} else if !e.expectation.named {
			t.Errorf("%s: no expectation says how a test checks\n%s", path, e.text)
		}
		all = append(all, e)
	}
	for _, v := range open {
		t.Errorf("%s has no example that begins with %q", path, v.prefix)
	}
	return all
}

// TestDocuments checks the examples of all documents. GraphQL is checked in graph/schema, README.zh-CN.md is compared with
// README.md there, and docs/questions.md is written by a test.
func TestDocuments(t *testing.T) {
	paths := documents(t)
	for _, path := range paths {
		if path == "README.zh-CN.md" || path == "docs/questions.md" {
			continue
		}
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			all := documentExamples(t, path)
			play(t, path, all)
			for _, e := range all {
				e.check(t, path, all)
			}
		})
	}
	for path := range expectations {
		if !slices.Contains(paths, path) {
			t.Errorf("there is no document %s", path)
		}
	}
}

// check checks an example that does not run.
func (e *example) check(t *testing.T, path string, all []*example) {
	t.Helper()
	switch v := e.expectation; {
	case v.named:
		checkNames(t, e.text)
		if strings.Contains(e.text, "\n") && !testless.MatchString(e.section) && !strings.Contains(repositoryFile(t, ".ci/run"), strings.TrimSpace(e.text)) {
			t.Errorf("%s does not say that no test runs\n%s", path, e.text)
		}
	case v.untestable:
		if !testless.MatchString(e.section) {
			t.Errorf("%s does not say that no test runs\n%s", path, e.text)
		}
	case v.check != nil:
		v.check(t, e.text)
	case v.testFile != "":
		file := repositoryFile(t, v.testFile)
		if v.sharedText == "" && !strings.Contains(file, filepath.Base(path)) || !strings.Contains(file, v.sharedText) || !strings.Contains(e.text, v.sharedText) {
			t.Errorf("%s: %s does not run\n%s", path, v.testFile, e.text)
		}
	case v.answer.of != "":
		v.answer.compare(t, e.text, all)
	case v.output == "" && v.prefix != "":
		t.Errorf("%s: the expectation says nothing of\n%s", path, e.text)
	}
}

// layersExist verifies that the packages of the diagram exist.
func layersExist(t *testing.T, text string) {
	for _, match := range regexp.MustCompile(`\["([a-z, ]+)(<br>|")`).FindAllStringSubmatch(text, -1) {
		for name := range strings.SplitSeq(match[1], ", ") {
			if found, _ := filepath.Glob(filepath.Join(repository, "*", name)); len(found) == 0 { // the pattern is well-formed
				t.Errorf("there is no package %s", name)
			}
		}
	}
}

func isJSON(t *testing.T, text string) {
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Errorf("%v in\n%s", err, text)
	}
}

func isSchema(t *testing.T, text string) {
	if _, err := parser.ParseSchema(&ast.Source{Input: text}); err != nil {
		t.Errorf("%v in\n%s", err, text)
	}
}

// stepsAreCommands reads steps of GitHub Actions.
func stepsAreCommands(t *testing.T, text string) {
	var steps []struct{ Run string }
	if err := yaml.UnmarshalWithOptions([]byte(text), &steps, yaml.Strict()); err != nil || len(steps) != 2 {
		t.Fatalf("%v in\n%s", err, text)
	}
	for _, step := range steps {
		checkNames(t, step.Run)
	}
}

// areKeys loads a file of API keys.
func areKeys(t *testing.T, text string) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	for file, text := range map[string]string{path: text, filepath.Join(filepath.Dir(path), "dashboards.password"): "secret"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := apikey.Load(path, apikey.Options{}); err != nil {
		t.Error(err)
	}
}

// isNginx has nginx check a part of a server's configuration.
func isNginx(t *testing.T, text string) {
	dir := t.TempDir()
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte("pid nginx.pid; events {}\nhttp { server {\n"+text+"}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command("nginx", "-t", "-p", dir, "-c", path, "-e", "stderr").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
}
