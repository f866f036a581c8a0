package main

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const repository = "../.."

// documents returns the paths of all documents but CHANGELOG.md, which tells of the past.
func documents(t *testing.T) []string {
	t.Helper()
	paths := slices.Concat(matches(t, "*.md"), matches(t, "docs/*.md"), matches(t, "docs/adr/*.md"))
	return slices.DeleteFunc(paths, func(path string) bool { return path == "CHANGELOG.md" })
}

// matches returns the paths of the repository's files that match a pattern.
func matches(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(repository, pattern))
	if err != nil || len(paths) == 0 {
		t.Errorf("no file is %s: %v", pattern, err)
	}
	for i, path := range paths {
		paths[i] = strings.TrimPrefix(filepath.ToSlash(path), repository+"/")
	}
	return paths
}

// repositoryFile returns the text of a file of the repository.
func repositoryFile(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(repository, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// sources returns the text of the files that match a pattern.
func sources(t *testing.T, pattern string) (text string) {
	t.Helper()
	for _, path := range matches(t, pattern) {
		text += repositoryFile(t, path)
	}
	return text
}

var (
	shellWord    = regexp.MustCompile(`(?:"[^"]*"|'[^']*'|[^\s"'])+`)
	shellComment = regexp.MustCompile(`(?m)(^|\s+)# .*$`)
)

// checkNames verifies that the targets, commands, packages and tests that shell commands name exist.
func checkNames(t *testing.T, commands string) {
	t.Helper()
	commands = strings.ReplaceAll(shellComment.ReplaceAllString(commands, ""), "&&", "\n")
	for line := range strings.Lines(commands) {
		words := shellWord.FindAllString(line, -1)
		for i, word := range words {
			words[i] = strings.NewReplacer(`"`, "", "'", "").Replace(word)
		}
		switch line := strings.Join(words, " "); {
		case line == "", regexp.MustCompile(`^(mv|npx|go run (\./cmd/bench|golang\.org/x/perf/cmd/benchstat@latest)) `).MatchString(line): // programs of others; cmd/bench's flags are compared below
		case words[0] == "make":
			for _, word := range words[1:] {
				if !strings.HasPrefix(word, "BENCH=") && !regexp.MustCompile(`(?m)^`+word+`:.* ## `).MatchString(repositoryFile(t, "Makefile")) {
					t.Errorf("there is no target %s", word)
				}
			}
		case words[0] == "consoleql":
			parses(t, words[1:])
		case words[0] == "config":
			parses(t, words)
		case strings.HasPrefix(line, "go run ./cmd/server "):
			parses(t, words[3:])
		case strings.HasPrefix(line, "go test "):
			testHas(t, words[2:])
		default:
			t.Errorf("no expectation says how a test checks %s", line)
		}
	}
}

// parses verifies that the program takes arguments.
func parses(t *testing.T, args []string) {
	t.Helper()
	program, err := newProgram()
	if err != nil {
		t.Fatal(err)
	}
	parsed := program.parser.Parse(slices.DeleteFunc(args, func(arg string) bool { return arg == "…" }), io.Discard, io.Discard)
	if parsed.Exit > 0 || len(parsed.Wrong) > 0 {
		t.Errorf("consoleql %q: exit status %d, %q", args, parsed.Exit, parsed.Wrong)
	}
}

// testHas verifies that the packages, tests and flags of go test exist. test/e2e declares flags for the packages below it.
func testHas(t *testing.T, args []string) {
	t.Helper()
	source := sources(t, "test/e2e/*.go")
	for _, arg := range args {
		if dir, ok := strings.CutPrefix(arg, "./"); ok && dir != "..." {
			source += sources(t, strings.TrimSuffix(dir, "/...")+"/*_test.go")
		}
	}
	for i, arg := range args {
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		kind := map[string]string{"run": "Test", "bench": "Benchmark", "fuzz": "Fuzz"}[name]
		switch {
		case !strings.HasPrefix(arg, "-"), slices.Contains([]string{"race", "p", "coverpkg"}, name): // of go test itself
		case kind != "" && args[i+1] != "^$":
			named := func(match []string) bool { return regexp.MustCompile(args[i+1]).MatchString(match[1]) }
			if !slices.ContainsFunc(regexp.MustCompile(`(?m)^func (`+kind+`\w+)\(`).FindAllStringSubmatch(source, -1), named) {
				t.Errorf("%v: no test is %s", args, args[i+1])
			}
		case flag.Lookup("test."+name) == nil && !regexp.MustCompile(`flag\.\w+\("`+regexp.QuoteMeta(name)+`"`).MatchString(source):
			t.Errorf("%v: no flag is %s", args, arg)
		}
	}
}

// TestMakefileNamesExist verifies that the tests and flags of the Makefile exist.
func TestMakefileNamesExist(t *testing.T) {
	t.Parallel()
	for _, line := range regexp.MustCompile(`(?m)^\tgo test .*$`).FindAllString(repositoryFile(t, "Makefile"), -1) {
		checkNames(t, strings.ReplaceAll(line, "$$", "$"))
	}
}

// TestDocumentedNamesExist verifies that the flags, metrics and paths that documents name exist. Flags are of the
// program, of cmd/bench, or of docker. graph/schema does so for settings.
func TestDocumentedNamesExist(t *testing.T) {
	t.Parallel()
	program, err := newProgram()
	if err != nil {
		t.Fatal(err)
	}
	flags := []string{"help", "build"}
	for _, node := range program.parser.Model().Children {
		for _, f := range node.Flags {
			flags = append(flags, f.Name)
		}
	}
	bench, telemetry := strings.ToLower(repositoryFile(t, "cmd/bench/main.go")), sources(t, "internal/telemetry/*.go")
	for pattern, exists := range map[string]func(name string) bool{
		`(?:^|[^\w-])--([a-z][a-z-]*)`: func(name string) bool {
			return slices.Contains(flags, name) || strings.Contains(bench, "\n\t"+strings.ReplaceAll(name, "-", "")+" ")
		},
		`\b(consoleql_[a-z_]+)`: func(name string) bool { return strings.Contains(telemetry, `"`+name+`"`) },
		"(?:^|[\\s`(])(?:\\./)?((?:\\.ci|cmd|deploy|docs|examples|graph|internal|scripts|test)/[\\w./-]*\\w)": func(name string) bool {
			_, err := os.Stat(filepath.Join(repository, name))
			return err == nil
		},
	} {
		for _, path := range documents(t) {
			for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(repositoryFile(t, path), -1) {
				if !exists(match[1]) {
					t.Errorf("%s names %s, which does not exist", path, match[1])
				}
			}
		}
	}
}

// TestDeploymentMarksUntestedCommands verifies that files whose comments have commands of deployment say that no test
// runs them.
func TestDeploymentMarksUntestedCommands(t *testing.T) {
	t.Parallel()
	command := regexp.MustCompile(`(?m)^\s*#.*\b(docker (compose|build)|kubectl (apply|create)|systemctl) `)
	for _, pattern := range []string{"Dockerfile", "deploy/*.yaml", "deploy/systemd/*", "deploy/kubernetes/*/*.yaml"} {
		for _, path := range matches(t, pattern) {
			if text := repositoryFile(t, path); command.MatchString(text) && !testless.MatchString(text) {
				t.Errorf("%s does not say that no test runs its commands", path)
			}
		}
	}
}
