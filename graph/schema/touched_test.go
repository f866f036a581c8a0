package schema_test

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// filesThatName returns the hand-written files whose code contains a match: Go without
// comments and tests, and the schema. Generated code, the simulator and the end-to-end tests
// do not count.
func filesThatName(t *testing.T, pattern *regexp.Regexp) []string {
	t.Helper()
	const root = "../.."
	var found []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, root+"/"))
		if d.IsDir() {
			if slices.Contains([]string{".git", "graph/generated", "graph/schema/testdata", "internal/consolesim", "test"}, name) {
				return fs.SkipDir
			}
			return nil
		}
		isGo := strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && !strings.HasSuffix(name, "_generated.go")
		if !isGo && !strings.HasSuffix(name, ".graphql") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if isGo && slices.ContainsFunc(identifiers(text), pattern.MatchString) || !isGo && pattern.Match(text) {
			found = append(found, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// identifiers returns the names and strings of Go code.
func identifiers(text []byte) []string {
	var all []string
	var s scanner.Scanner
	fset := token.NewFileSet()
	s.Init(fset.AddFile("", fset.Base(), len(text)), text, nil, 0)
	for {
		_, tok, literal := s.Scan()
		switch tok {
		case token.EOF:
			return all
		case token.IDENT, token.STRING:
			all = append(all, literal)
		default:
		}
	}
}

// TestMutationTouchesSixFiles verifies the number of files of an operation, and the list in
// docs/architecture.md, section Rules.
func TestMutationTouchesSixFiles(t *testing.T) {
	got := filesThatName(t, regexp.MustCompile(`(?i)updateQueue|queueUpdate`))
	want := []string{
		"graph/mutation/queue.go", "graph/relation/table.go", "graph/resolver/queue.go", "graph/schema/queue.graphql",
		"internal/cachedconsole/writes.go", "internal/consoleclient/queues.go",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the mutation updateQueue is named by other files:\n%s", diff)
	}
}
