package schema_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"

	"github.com/consoleql/consoleql/graph/schema"
)

const root = "../.."

// documents returns the paths of all documents, relative to the root of the repository.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/adr/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	if len(all) < 10 {
		t.Fatalf("only %d documents", len(all))
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var codeBlock = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

// TestDocumentedOperationsAreValid validates each GraphQL operation of the documents.
func TestDocumentedOperationsAreValid(t *testing.T) {
	s, err := schema.Load()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, path := range documents(t) {
		for _, block := range codeBlock.FindAllStringSubmatch(read(t, path), -1) {
			if block[1] != "graphql" {
				continue
			}
			n++
			if _, errs := gqlparser.LoadQuery(s, block[2]); errs != nil { //nolint:staticcheck // the rules are the default ones
				t.Errorf("%s: %v\n%s", path, errs, block[2])
			}
		}
	}
	if n < 5 {
		t.Errorf("only %d operations", n)
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// TestDocumentLinksResolve verifies relative links to files and headings.
func TestDocumentLinksResolve(t *testing.T) {
	for _, path := range documents(t) {
		text := codeBlock.ReplaceAllString(read(t, path), "")
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			file := path
			if target != "" {
				file = filepath.Join(filepath.Dir(path), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %s, which does not exist", path, match[1])
				continue
			}
			if anchor != "" && !hasHeading(read(t, file), anchor) {
				t.Errorf("%s links to %s, but there is no such heading", path, match[1])
			}
		}
	}
}

var notInAnchors = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

func hasHeading(text, anchor string) bool {
	for _, match := range heading.FindAllStringSubmatch(codeBlock.ReplaceAllString(text, ""), -1) {
		name := notInAnchors.ReplaceAllString(strings.ToLower(match[1]), "")
		if strings.ReplaceAll(name, " ", "-") == anchor {
			return true
		}
	}
	return false
}

// TestReadmesContainSameCode compares the blocks of the two READMEs, without comments.
func TestReadmesContainSameCode(t *testing.T) {
	comment := regexp.MustCompile(`(?m)\s+# .*$`)
	blocks := func(name string) []string {
		var all []string
		for _, block := range codeBlock.FindAllStringSubmatch(read(t, filepath.Join(root, name)), -1) {
			all = append(all, comment.ReplaceAllString(block[2], ""))
		}
		return all
	}
	english, chinese := blocks("README.md"), blocks("README.zh-CN.md")
	if len(english) != len(chinese) || len(english) == 0 {
		t.Fatalf("README.md has %d blocks, README.zh-CN.md %d", len(english), len(chinese))
	}
	for i := range english {
		if english[i] != chinese[i] {
			t.Errorf("README.zh-CN.md differs from README.md:\n%s\n%s", chinese[i], english[i])
		}
	}
}

// TestReadmeIsShort bounds the README; the rest is in documents of their own.
func TestReadmeIsShort(t *testing.T) {
	if n := strings.Count(read(t, filepath.Join(root, "README.md")), "\n"); n > 130 {
		t.Errorf("README.md has %d lines, more than 130", n)
	}
}

var (
	code    = regexp.MustCompile("`([^`\n]+)`")
	goFile  = regexp.MustCompile(`^[\w./-]+\.go$`)
	setting = regexp.MustCompile(`CONSOLEQL_[A-Z_]*[A-Z]`)
)

// TestDocumentedFilesExist verifies that the Go files that documents name exist.
func TestDocumentedFilesExist(t *testing.T) {
	var files []string
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if entry != nil && entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if err == nil && strings.HasSuffix(path, ".go") {
			files = append(files, "/"+filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range documents(t) {
		for _, match := range code.FindAllStringSubmatch(codeBlock.ReplaceAllString(read(t, path), ""), -1) {
			isThere := func(file string) bool { return strings.HasSuffix(file, "/"+match[1]) }
			if goFile.MatchString(match[1]) && !slices.ContainsFunc(files, isThere) {
				t.Errorf("%s names the file %s, which does not exist", path, match[1])
			}
		}
	}
}

// TestDocumentedSettingsExist verifies that the settings that documents name exist.
// Those of the simulated console begin with CONSOLEQL_SIM_.
func TestDocumentedSettingsExist(t *testing.T) {
	known := read(t, filepath.Join(root, "docs/configuration.md"))
	for _, path := range documents(t) {
		for _, name := range setting.FindAllString(read(t, path), -1) {
			if !strings.Contains(known, "`"+name+"`") && !strings.HasPrefix(name, "CONSOLEQL_SIM_") {
				t.Errorf("%s names the setting %s, which does not exist", path, name)
			}
		}
	}
}
