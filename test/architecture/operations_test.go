package architecture

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2"

	"github.com/consoleql/consoleql/graph/schema"
)

// maxOperationFiles bounds the hand-written files that a listed kind or a mutation touches.
const maxOperationFiles = 6

// readSources returns the hand-written files of the gateway by path. Tests, the simulator,
// the benchmark, examples and documents do not count, nor do generated files.
func readSources(t *testing.T) map[string]string {
	t.Helper()
	other := []string{"testdata", "node_modules", ".git", "examples", "test", "docs", "consolesim", "bench"}
	texts := make(map[string]string)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		relative = filepath.ToSlash(relative)
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains(other, name):
			return filepath.SkipDir
		case !entry.Type().IsRegular() || strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, ".md"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil && utf8.Valid(text) && !generated.Match(text) {
			texts[relative] = string(text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"gqlgen.yml", "go.mod", "cmd/server/main.go", "graph/schema/queue.graphql", "deploy/grafana-dashboard.json"} {
		if texts[path] == "" {
			t.Fatalf("%s does not count", path)
		}
	}
	return texts
}

// filesWith returns the files that match a pattern, in order.
func filesWith(texts map[string]string, pattern string) []string {
	p := regexp.MustCompile(pattern)
	return slices.DeleteFunc(slices.Sorted(maps.Keys(texts)), func(path string) bool { return !p.MatchString(texts[path]) })
}

// TestListedKindFiles counts the files that name a listed kind. Relations, changes and
// subscriptions name most kinds in other files, too. So the names of WorkflowLayout count
// as a whole, and of the other kinds those that make them listed kinds.
func TestListedKindFiles(t *testing.T) {
	t.Parallel()
	texts := readSources(t)
	for _, kind := range []string{"Package", "Queue", "Robot", "Workflow", "WorkflowLayout"} {
		files := filesWith(texts, `\b(Op`+kind+`s?|Cached`+kind+`s|`+kind+`(Connection|Edge|Order|OrderField))\b`)
		if len(files) < 3 || len(files) > maxOperationFiles {
			t.Errorf("%s is named in %d files, want at most %d: %v", kind, len(files), maxOperationFiles, files)
		}
	}
	documented(t, texts, "A new listed kind", filesWith(texts, `\b([wW]orkflowLayouts?|WorkflowLayout(Node|Filter|Connection|Edge|Order|OrderField)|Layouts)\b`))
}

// TestMutationFiles counts the files that name a mutation.
func TestMutationFiles(t *testing.T) {
	t.Parallel()
	special := []string{ // a file, an ETag or a session takes more than one call of the console
		"uploadPackage", "createPackageUpload", "completePackageUpload", "updatePackage", "signIn", "signOut",
	}
	texts := readSources(t)
	counted := 0
	for _, field := range gqlparser.MustLoadSchema(schema.Sources()...).Mutation.Fields {
		if slices.Contains(special, field.Name) {
			continue
		}
		counted++
		name := strings.ToUpper(field.Name[:1]) + field.Name[1:]
		files := filesWith(texts, `\b(`+field.Name+`|(Op)?`+name+`(Payload|Input)?)\b`)
		if len(files) < 4 || len(files) > maxOperationFiles {
			t.Errorf("%s is named in %d files, want at most %d: %v", field.Name, len(files), maxOperationFiles, files)
		}
		if field.Name == "updateQueue" {
			documented(t, texts, "A new mutation", files)
		}
	}
	if counted < 10 {
		t.Errorf("only %d mutations were counted", counted)
	}
}

// documented verifies that the rule of docs/architecture.md which begins with these words
// names these files, at most maxOperationFiles, and no others.
func documented(t *testing.T, texts map[string]string, words string, files []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs/architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rule, found := strings.Cut(string(text), "\n- "+words)
	if !found {
		t.Fatalf("docs/architecture.md has no rule that begins with %q", words)
	}
	rule, _, _ = strings.Cut(rule, "\n")
	var named []string
	for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(rule, -1) {
		if _, isFile := texts[match[1]]; isFile {
			named = append(named, match[1])
		}
	}
	slices.Sort(named)
	if len(files) > maxOperationFiles || !slices.Equal(named, files) {
		t.Errorf("the rule %q names %v, and %v have it", words, named, files)
	}
}
