// Package architecture tests the rules of docs/architecture.md: allowed imports, and sizes of
// packages and files.
package architecture

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "github.com/consoleql/consoleql/"

	maxPackageLines = 2500 // without tests and generated code
	maxPackageFiles = 15   // the same
	maxFileLines    = 400  // tests, too
	maxMainLines    = 400  // cmd/server: main, flags, commands
)

// layers lists the packages from the lowest to the highest layer. A package imports only
// packages of lower layers.
var layers = [][]string{
	{
		"graph", "graph/schema", "graph/selection", "internal/backoff", "internal/binarytest", "internal/buildinfo", "internal/consoleclient/generate",
		"internal/consolesim", "internal/edge/graphiql/browsertest", "internal/edge/drain", "internal/edge/slowreader", "internal/edge/staticfiles", "internal/fairqueue", "internal/fault",
		"internal/flight", "internal/health", "internal/invalidation", "internal/jsonobject", "internal/listenaddress", "internal/logqueue", "internal/memorytuning", "internal/processsignals", "internal/quota", "internal/redistest", "internal/scope", "internal/slab", "internal/tcpproxy",
		"internal/textfile",
	},
	{
		"examples/dashboard", "internal/edge/certificate", "internal/edge/graphiql",
		"graph/capabilities", "graph/codegen", "graph/scalar", "graph/sequential", "internal/budget",
		"internal/consoleclient/admission", "internal/idempotency", "internal/principal", "internal/telemetry", "internal/tokencache/signinqueue",
	},
	{"internal/responsecache"},
	{"internal/bytepool", "internal/edge/graphiql/examples", "internal/healthcheck", "internal/consoleclient/transport", "internal/operation", "internal/redisclient", "internal/tokencache"},
	{"internal/accesslog", "internal/apikey", "internal/consoleclient"},
	{"internal/audit"},
	{"graph/batch", "graph/listing", "internal/apierror", "internal/cachedconsole", "internal/verify"},
	{"graph/entity", "internal/bench", "internal/compatibility", "internal/explain"},
	{"cmd/bench", "graph/loader", "internal/edge/graphqlhttp"},
	{"graph/fanout", "internal/edge/querylimit", "internal/operationcache"},
	{"graph/mutation", "graph/subscription"},
	{"graph/generated", "graph/relation", "internal/edge/transport", "internal/trusteddocuments"},
	{"graph/resolver", "internal/mcp"},
	{"internal/edge"},
	{"internal/gateway"},
	{"internal/commandline", "internal/documentcheck"},
	{"cmd/server"},
}

// size is the size of a package without tests and generated code.
type size struct{ lines, files int }

// perSection contains the packages with a file for each section of the console's document.
// Only the size of their files is bounded.
var perSection = []string{"internal/consoleclient", "internal/consolesim"}

// source is a Go file that is not generated.
type source struct {
	path    string // relative to the root, with slashes
	dir     string
	lines   int
	test    bool
	imports []string // packages of this module, relative to the root
}

var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// sources returns the Go files of the repository that are not generated.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && (name == "node_modules" || strings.HasPrefix(name, ".") && path != root):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if generated.Match(text) {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ImportsOnly)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		s := source{path: filepath.ToSlash(relative), lines: bytes.Count(text, []byte("\n")), test: strings.HasSuffix(path, "_test.go")}
		s.dir = filepath.ToSlash(filepath.Dir(relative))
		for _, i := range parsed.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			if of, ok := strings.CutPrefix(name, module); ok {
				s.imports = append(s.imports, of)
			}
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 200 {
		t.Fatalf("only %d files were found", len(all))
	}
	return all
}

// TestImports verifies that packages import only lower layers.
func TestImports(t *testing.T) {
	t.Parallel()
	layerOf := make(map[string]int)
	for i, layer := range layers {
		for _, dir := range layer {
			layerOf[dir] = i + 1
		}
	}
	found := make(map[string]bool)
	for _, s := range sources(t) {
		if s.test || strings.HasPrefix(s.dir, "test/") {
			continue
		}
		found[s.dir] = true
		own, ok := layerOf[s.dir]
		if !ok {
			t.Errorf("%s: the package %s is in no layer", s.path, s.dir)
			continue
		}
		for _, i := range s.imports {
			if layerOf[i] >= own {
				t.Errorf("%s: the package %s imports %s, which is not below it", s.path, s.dir, i)
			}
		}
	}
	for dir := range layerOf {
		if _, err := os.Stat(filepath.Join(root, dir)); err != nil {
			t.Errorf("a layer has %s: %v", dir, err)
		}
	}
}

// row is a row of the table of packages in docs/architecture.md. Its first cell names packages.
var row = regexp.MustCompile(`(?m)^\| (` + "`[a-z0-9/]+`(?:, `[a-z0-9/]+`)*" + `) \|`)

// TestRows verifies that the table of packages in docs/architecture.md has each package once, and no other.
func TestRows(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "docs/architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]int)
	for _, m := range row.FindAllSubmatch(text, -1) {
		for name := range strings.SplitSeq(string(m[1]), ", ") {
			rows[strings.Trim(name, "`")]++
		}
	}
	for _, s := range sources(t) {
		if !s.test && rows[s.dir] == 0 {
			t.Errorf("%s: docs/architecture.md has no row for the package %s", s.path, s.dir)
			rows[s.dir]++ // report it once
		}
	}
	for dir, n := range rows {
		if files, _ := filepath.Glob(filepath.Join(root, dir, "*.go")); len(files) == 0 {
			t.Errorf("docs/architecture.md has a row for %s, which has no Go file", dir)
		}
		if n > 1 {
			t.Errorf("docs/architecture.md has %d rows for %s", n, dir)
		}
	}
}

// TestSizes verifies the bounds of packages and files.
func TestSizes(t *testing.T) {
	t.Parallel()
	packages := make(map[string]size)
	for _, s := range sources(t) {
		if s.lines > maxFileLines {
			t.Errorf("%s has %d lines, more than %d", s.path, s.lines, maxFileLines)
		}
		if s.test || strings.HasPrefix(s.dir, "test/") || slices.Contains(perSection, s.dir) {
			continue
		}
		p := packages[s.dir]
		packages[s.dir] = size{p.lines + s.lines, p.files + 1}
	}
	for dir, p := range packages {
		if p.lines > maxPackageLines {
			t.Errorf("the package %s has %d lines, more than %d", dir, p.lines, maxPackageLines)
		}
		if dir == "cmd/server" && p.lines > maxMainLines {
			t.Errorf("the package %s has %d lines, more than %d", dir, p.lines, maxMainLines)
		}
		if p.files > maxPackageFiles {
			t.Errorf("the package %s has %d files, more than %d", dir, p.files, maxPackageFiles)
		}
	}
}
