package trusteddocuments_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/graph/schema"
	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/trusteddocuments"
)

// open opens a list, and returns it with its log.
func open(t *testing.T, path string, mode trusteddocuments.Mode, adjust ...func(*trusteddocuments.Options)) (*trusteddocuments.List, *bytes.Buffer, error) {
	t.Helper()
	s, err := schema.Load()
	if err != nil {
		t.Fatal(err)
	}
	logs := &bytes.Buffer{}
	o := trusteddocuments.Options{Path: path, Mode: mode, Schema: s, Parsed: querylimit.NewParsedDocuments(s), Logger: slog.New(slog.NewTextHandler(logs, nil))}
	for _, f := range adjust {
		f(&o)
	}
	l, err := trusteddocuments.Open(o)
	return l, logs, err
}

// write writes a file of a folder and returns its path.
func write(t *testing.T, folder, name, text string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// textOf returns the text that the list has for an id; empty: none.
func textOf(l *trusteddocuments.List, id string) string {
	p := &graphqlhttp.Parameters{DocumentID: id}
	l.Resolve(p)
	return p.Query
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

const (
	viewer   = `query Viewer { viewer { userName } }`
	packages = `query Packages { packages { totalCount } }`
)

// TestGenerators loads manifests as @apollo/generate-persisted-query-manifest 1.4.0,
// relay-compiler 21.0.1 (MD5) and the client preset 6.2.0 of GraphQL Code Generator (sha256) have
// written them.
func TestGenerators(t *testing.T) {
	t.Parallel()
	for file, ids := range map[string][]string{
		"apollo.json": {"6f7283f274f2aa2e9305f435800e3be21c2a761d50570ff8a02a5a234c65b40f", "sha256:6f7283f274f2aa2e9305f435800e3be21c2a761d50570ff8a02a5a234c65b40f"},
		"relay.json":  {"1276e20c74608b62d1567e87312ea046"},
		"codegen.json": {
			"sha256:5f1619b24b1edb1bd952255de4fb09e128a2ee5688581ad56abdd43d79ac91b0", "5f1619b24b1edb1bd952255de4fb09e128a2ee5688581ad56abdd43d79ac91b0",
		},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			l, logs, err := open(t, filepath.Join("testdata", file), trusteddocuments.Only)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(logs.String(), "is not trusted") {
				t.Errorf("%s", logs)
			}
			for _, id := range ids {
				if text := textOf(l, id); !strings.Contains(text, "robots(first: $first)") {
					t.Errorf("%s is %q", id, text)
				}
			}
		})
	}
	l, logs, err := open(t, "testdata", trusteddocuments.Only)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"AppRenameMutation", "AppRobotsQuery", "MoreRobotQuery", "MoreRobotsQuery", "RenameQueue", "RobotStatus", "Robots"}
	if got := l.Names(); !slices.Equal(got, want) || len(l.Paths()) != 3 {
		t.Errorf("names %v, paths %v\n%s", got, l.Paths(), logs)
	}
}

func TestManifests(t *testing.T) {
	t.Parallel()
	const apollo = `{"format":"apollo-persisted-query-manifest","version":1,"operations":[%s]}`
	for name, tt := range map[string]struct {
		text    string
		refusal string // of the whole file
		logged  string
		ids     []string
		not     []string
	}{
		"map":                      {text: fmt.Sprintf(`{"a":%q,"b":%q}`, viewer, packages), ids: []string{"a", "b", hashOf(viewer), "sha256:" + hashOf(viewer)}, not: []string{"c", "", strings.Repeat("0", 64)}},
		"prefix":                   {text: fmt.Sprintf(`{%q:%q}`, "sha256:"+hashOf(viewer), viewer), ids: []string{hashOf(viewer), "sha256:" + hashOf(viewer)}},
		"prefix, no hash":          {text: fmt.Sprintf(`{"sha256:a":%q}`, viewer), logged: "its id is not the SHA-256 of its text", not: []string{"a", "sha256:a", hashOf(viewer)}},
		"prefix, an unknown hash":  {text: fmt.Sprintf(`{%q:%q}`, "sha256:"+hashOf(packages), viewer), logged: "its id is not the SHA-256 of its text", not: []string{hashOf(packages)}},
		"prefix, another's hash":   {text: fmt.Sprintf(`{%q:%q,"b":%q}`, "sha256:"+hashOf(packages), viewer, packages), logged: "its id is not the SHA-256 of its text", ids: []string{"b", hashOf(packages)}, not: []string{hashOf(viewer)}},
		"another's hash":           {text: fmt.Sprintf(`{%q:%q,"b":%q}`, hashOf(packages), viewer, packages), logged: "its id is the SHA-256 of another text", ids: []string{"b", hashOf(packages)}, not: []string{hashOf(viewer)}},
		"another's hash, capitals": {text: fmt.Sprintf(`{%q:%q,"b":%q}`, strings.ToUpper(hashOf(packages)), viewer, packages), logged: "its id is the SHA-256 of another text", ids: []string{"b"}, not: []string{hashOf(viewer)}},
		"the hash of no text":      {text: fmt.Sprintf(`{%q:%q}`, hashOf(packages), viewer), ids: []string{hashOf(packages), hashOf(viewer)}},
		"byte order mark":          {text: "\ufeff" + fmt.Sprintf(`{"a":%q}`, viewer), ids: []string{"a"}},
		"empty map":                {text: `{}`, not: []string{"a"}},
		"Apollo":                   {text: fmt.Sprintf(apollo, fmt.Sprintf(`{"id":"a","name":"Viewer","type":"query","body":%q}`, viewer)), ids: []string{"a"}},
		"Apollo, empty":            {text: fmt.Sprintf(apollo, ""), not: []string{"a"}},
		"the same text twice":      {text: fmt.Sprintf(`{"a":%q,%q:%[1]q,%[3]q:%[1]q}`, viewer, hashOf(viewer), "sha256:"+hashOf(viewer)), ids: []string{"a", hashOf(viewer)}},
		"an id with two texts":     {text: fmt.Sprintf(`{"a":%q,"sha256:a":%q,"b":%q}`, viewer, packages, viewer), logged: "its id has two texts", ids: []string{"b", hashOf(viewer)}, not: []string{"a", hashOf(packages)}},
		"a name of JSON twice":     {text: fmt.Sprintf(`{"a":%q,"a":%q}`, viewer, packages), logged: "its id has two texts", not: []string{"a"}},
		"no GraphQL":               {text: fmt.Sprintf(`{"a":"{","b":%q}`, viewer), logged: "id=a", ids: []string{"b"}, not: []string{"a"}},
		"no operation":             {text: `{"a":"fragment F on Query { __typename }"}`, logged: "no operation", not: []string{"a"}},
		"invalid":                  {text: fmt.Sprintf(`{"a":"{ robots { cheese } }","b":%q}`, viewer), logged: `Cannot query field \"cheese\"`, ids: []string{"b"}, not: []string{"a"}},
		"no id":                    {text: fmt.Sprintf(`{"":%q}`, viewer), logged: "it has no id", not: []string{""}},
		"an Apollo document":       {text: fmt.Sprintf(apollo, `{"id":"a","name":"Bad","type":"query","body":"{ cheese }"}`), logged: "name=Bad", not: []string{"a"}},
		"version":                  {text: `{"format":"apollo-persisted-query-manifest","version":2,"operations":[]}`, refusal: "version 2"},
		"format":                   {text: `{"format":"other","version":1,"operations":[]}`, refusal: `format "other"`},
		"operations alone":         {text: `{"operations":[]}`, refusal: "format"},
		"Apollo, no operations":    {text: `{"format":"apollo-persisted-query-manifest","version":1}`, refusal: `no list of "operations"`},
		"Apollo, null":             {text: `{"format":"apollo-persisted-query-manifest","version":1,"operations":null}`, refusal: `no list of "operations"`},
		"operations of other kind": {text: `{"format":"apollo-persisted-query-manifest","version":1,"operations":{}}`, refusal: "no manifest"},
		"a number":                 {text: `{"a":1}`, refusal: `"a"`},
		"array":                    {text: `[]`, refusal: "no JSON object"},
		"cut":                      {text: `{"a":"b"`, refusal: "no JSON"},
		"two objects":              {text: `{}{}`, refusal: "more than one"},
		"empty":                    {text: ``, refusal: "no JSON object"},
		"UTF-16":                   {text: "\xff\xfe{\x00}\x00", refusal: "UTF-16"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := write(t, t.TempDir(), "manifest.json", tt.text)
			l, logs, err := open(t, path, trusteddocuments.Only)
			if tt.refusal != "" {
				if err == nil || !strings.Contains(err.Error(), tt.refusal) || !strings.Contains(err.Error(), path) {
					t.Fatalf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(logs.String(), tt.logged) || tt.logged == "" && strings.Contains(logs.String(), "is not trusted") {
				t.Errorf("logged\n%s", logs)
			}
			for _, id := range tt.ids {
				if textOf(l, id) == "" {
					t.Errorf("%q is not known", id)
				}
			}
			for _, id := range tt.not {
				if text := textOf(l, id); text != "" {
					t.Errorf("%q is %q", id, text)
				}
			}
		})
	}
}

// TestFolders verifies which files of a folder are manifests, and that one bad manifest keeps the
// present list.
func TestFolders(t *testing.T) {
	t.Parallel()
	if _, _, err := open(t, filepath.Join(t.TempDir(), "absent"), trusteddocuments.Log); err == nil {
		t.Error("a missing folder is no error")
	}
	folder := filepath.Join(t.TempDir(), "[manifests]*")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := open(t, folder, trusteddocuments.Log); err == nil || !strings.Contains(err.Error(), "no manifest") {
		t.Errorf("an empty folder: %v", err)
	}
	write(t, folder, "one.json", fmt.Sprintf(`{"a":%q}`, viewer))
	write(t, folder, "one.descriptions.json", `{"Viewer":1}`)
	write(t, folder, "one.variables.json", `{"Viewer":{}}`)
	write(t, folder, "readme.txt", `?`)
	all, err := filepath.Glob(filepath.Join(strings.NewReplacer("[", `\[`, "*", `\*`).Replace(folder), "*.json"))
	if manifests, err := trusteddocuments.Manifests(all...); err != nil || len(all) != 3 || len(manifests) != 1 {
		t.Errorf("%v, %v of %v", err, manifests, all)
	}
	for _, name := range []string{"one.descriptions.json", "one.variables.json"} {
		if _, _, err := open(t, filepath.Join(folder, name), trusteddocuments.Log); err == nil || !strings.Contains(err.Error(), "is no manifest: by its name it belongs to") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	l, logs, err := open(t, folder, trusteddocuments.Log)
	if err != nil {
		t.Fatal(err)
	}
	write(t, folder, "two.json", fmt.Sprintf(`{"b":%q}`, packages))
	if err := l.Reload(); err != nil || textOf(l, "a") != viewer || textOf(l, "b") != packages || len(l.Paths()) != 2 {
		t.Errorf("%v, %v\n%s", err, l.Paths(), logs)
	}
	write(t, folder, "one.json", `{}`)
	write(t, folder, "two.json", `{`)
	if err := l.Reload(); err == nil || !strings.Contains(err.Error(), "two.json") || textOf(l, "a") != viewer || textOf(l, "b") != packages {
		t.Errorf("after a bad reload: %v", err)
	}
	write(t, folder, "two.json", fmt.Sprintf(`{"a":%q}`, packages))
	if err := l.Reload(); err != nil || textOf(l, "a") != packages || textOf(l, "b") != "" || !slices.Equal(l.Names(), []string{"Packages"}) {
		t.Errorf("%v: %v", err, l.Names())
	}
}

// TestDocumentsAreParsedOnLoad verifies that a trusted document needs no parse when it runs.
func TestDocumentsAreParsedOnLoad(t *testing.T) {
	t.Parallel()
	s, err := schema.Load()
	if err != nil {
		t.Fatal(err)
	}
	parsed := querylimit.NewParsedDocuments(s)
	path := write(t, t.TempDir(), "manifest.json", fmt.Sprintf(`{"a":%q}`, viewer))
	if _, _, err := open(t, path, trusteddocuments.Log, func(o *trusteddocuments.Options) { o.Parsed = parsed }); err != nil {
		t.Fatal(err)
	}
	document, ok := parsed.Get(context.Background(), viewer)
	if !ok || document.Operations[0].Name != "Viewer" {
		t.Errorf("%v, %v", document, ok)
	}
}

// TestManyRefusals verifies the bound on the lines of one load.
func TestManyRefusals(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range 150 {
		fmt.Fprintf(&text, `,"%d":"{ cheese%d }"`, i, i)
	}
	_, logs, err := open(t, write(t, t.TempDir(), "manifest.json", "{"+text.String()[1:]+"}"), trusteddocuments.Log)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(logs.String(), "a document is not trusted"); n != 100 || !strings.Contains(logs.String(), "documents=50") {
		t.Errorf("%d lines\n%.1000s", n, logs)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	path := write(t, t.TempDir(), "manifest.json", fmt.Sprintf(`{"a":%q,"b":%q}`, viewer, packages))
	only, _, err := open(t, path, trusteddocuments.Only)
	if err != nil {
		t.Fatal(err)
	}
	log, _, err := open(t, path, trusteddocuments.Log)
	if err != nil {
		t.Fatal(err)
	}
	closed, _, err := open(t, path, trusteddocuments.Only, func(o *trusteddocuments.Options) { o.Limits.NoIntrospection = true })
	if err != nil {
		t.Fatal(err)
	}
	var none *trusteddocuments.List
	const foreign = `{ queues { totalCount } }`
	const ok fault.Code = ""
	const notFound, notTrusted, bad = fault.PersistedQueryNotFound, fault.DocumentNotTrusted, fault.BadUserInput
	persisted := func(hash string) string {
		return fmt.Sprintf(`"extensions":{"persistedQuery":{"version":1,"sha256Hash":%q}}`, hash)
	}
	for name, tt := range map[string]struct {
		request string // its members
		text    string // of the document that runs
		want    map[*trusteddocuments.List]fault.Code
	}{
		"documentId":                {`"documentId":"a"`, viewer, map[*trusteddocuments.List]fault.Code{only: ok, log: ok, none: notFound}},
		"doc_id":                    {`"doc_id":"a"`, viewer, map[*trusteddocuments.List]fault.Code{only: ok, log: ok, none: notFound}},
		"persisted":                 {persisted("a"), viewer, map[*trusteddocuments.List]fault.Code{only: ok, log: ok}},
		"two names of one":          {`"documentId":"sha256:a","doc_id":"sha256:a",` + persisted("a"), viewer, map[*trusteddocuments.List]fault.Code{only: ok, log: ok}},
		"two names":                 {`"documentId":"a",` + persisted("b"), "", map[*trusteddocuments.List]fault.Code{only: bad, log: bad, none: bad}},
		"unknown":                   {`"documentId":"c"`, "", map[*trusteddocuments.List]fault.Code{only: notFound, log: notFound, none: notFound}},
		"unknown, persisted":        {persisted(hashOf(foreign)), "", map[*trusteddocuments.List]fault.Code{only: notFound, log: ok, none: ok}},
		"persisted, escaped":        {`"extensions":{"persisted\u0051uery":{"version":1,"sha256Hash":"` + hashOf(foreign) + `"}}`, "", map[*trusteddocuments.List]fault.Code{only: notFound, log: ok, none: ok}},
		"another extension":         {`"extensions":{"a":1}`, "", map[*trusteddocuments.List]fault.Code{only: notFound, log: ok, none: ok}},
		"nothing":                   {``, "", map[*trusteddocuments.List]fault.Code{only: ok, log: ok, none: ok}},
		"trusted text":              {`"query":` + quote(viewer), viewer, map[*trusteddocuments.List]fault.Code{only: ok, log: ok, none: ok}},
		"foreign text":              {`"query":` + quote(foreign), foreign, map[*trusteddocuments.List]fault.Code{only: notTrusted, log: ok, none: ok}},
		"foreign text with hash":    {`"query":` + quote(foreign) + "," + persisted(hashOf(foreign)), foreign, map[*trusteddocuments.List]fault.Code{only: notTrusted, log: ok, none: ok}},
		"id and text":               {`"documentId":"a","query":` + quote(viewer), viewer, map[*trusteddocuments.List]fault.Code{only: ok, log: ok, none: ok}},
		"hash and text":             {`"query":` + quote(viewer) + "," + persisted(hashOf(viewer)), viewer, map[*trusteddocuments.List]fault.Code{only: ok, log: ok, none: ok}},
		"id and other text":         {`"documentId":"a","query":` + quote(packages), "", map[*trusteddocuments.List]fault.Code{only: bad, log: bad}},
		"id and foreign text":       {`"documentId":"a","query":` + quote(foreign), "", map[*trusteddocuments.List]fault.Code{only: notTrusted, log: bad}},
		"unknown id, trusted text":  {`"documentId":"c","query":` + quote(viewer), viewer, map[*trusteddocuments.List]fault.Code{only: bad, log: ok, none: ok}},
		"persisted and other text":  {`"query":` + quote(packages) + "," + persisted("a"), "", map[*trusteddocuments.List]fault.Code{only: bad, log: bad}},
		"persisted by its hash":     {persisted(hashOf(viewer)), viewer, map[*trusteddocuments.List]fault.Code{only: ok, log: ok, none: ok}},
		"persisted with a prefix":   {persisted("sha256:" + hashOf(viewer)), viewer, map[*trusteddocuments.List]fault.Code{only: ok, log: ok, none: notFound}},
		"persisted, no hash":        {persisted("c"), "", map[*trusteddocuments.List]fault.Code{only: notFound, log: notFound, none: notFound}},
		"persisted, SHA-1":          {persisted(strings.Repeat("0a", 20)), "", map[*trusteddocuments.List]fault.Code{only: notFound, log: notFound, none: notFound}},
		"persisted, and its text":   {`"query":` + quote(viewer) + "," + persisted("a"), viewer, map[*trusteddocuments.List]fault.Code{only: ok, log: ok, none: bad}},
		"no hash, trusted text":     {`"query":` + quote(viewer) + "," + persisted("c"), "", map[*trusteddocuments.List]fault.Code{only: bad, log: bad, none: bad}},
		"no hash, foreign text":     {`"query":` + quote(foreign) + "," + persisted("c"), "", map[*trusteddocuments.List]fault.Code{only: notTrusted, log: bad, none: bad}},
		"persisted, foreign text":   {`"query":` + quote(foreign) + "," + persisted("a"), "", map[*trusteddocuments.List]fault.Code{only: notTrusted, log: bad, none: bad}},
		"two names, no hashes":      {`"documentId":"c","query":` + quote(viewer) + "," + persisted("c"), "", map[*trusteddocuments.List]fault.Code{only: bad, log: bad, none: bad}},
		"__typename":                {`"query":"{__typename}"`, "{__typename}", map[*trusteddocuments.List]fault.Code{only: ok, closed: ok, log: ok}},
		"named __typename":          {`"query":"query  Health\n{ __typename }"`, "query  Health\n{ __typename }", map[*trusteddocuments.List]fault.Code{only: ok, closed: ok}},
		"__typename and more":       {`"query":"{ __typename viewer { id } }"`, "", map[*trusteddocuments.List]fault.Code{only: notTrusted}},
		"a mutation of __typename":  {`"query":"mutation { __typename }"`, "", map[*trusteddocuments.List]fault.Code{only: notTrusted}},
		"introspection":             {`"query":"query I { ...F } fragment F on Query { __schema { types { name } } __type(name: \"Robot\") { name } }"`, "query I { ...F } fragment F on Query { __schema { types { name } } __type(name: \"Robot\") { name } }", map[*trusteddocuments.List]fault.Code{only: ok, closed: notTrusted, log: ok}},
		"introspection and more":    {`"query":"{ __schema { types { name } } viewer { id } }"`, "", map[*trusteddocuments.List]fault.Code{only: notTrusted}},
		"introspection by fragment": {`"query":"{ __schema { types { name } } ...F } fragment F on Query { viewer { id } }"`, "", map[*trusteddocuments.List]fault.Code{only: notTrusted}},
		"a second operation":        {`"query":"query A { __schema { types { name } } } query B { viewer { id } }"`, "", map[*trusteddocuments.List]fault.Code{only: notTrusted}},
		"long introspection":        {`"query":"{ __schema { types { name } } }` + strings.Repeat(" ", 20_000) + `"`, "", map[*trusteddocuments.List]fault.Code{only: notTrusted}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for l, want := range tt.want {
				p, err := graphqlhttp.ParseParameters([]byte("{" + tt.request + "}"))
				if err != nil {
					t.Fatal(err)
				}
				l.Resolve(p)
				var got fault.Code
				if p.Refusal() != nil {
					got = fault.CodeOf(p.Refusal())
				}
				if _, _, runs := p.Hash(); runs && (got != ok || p.Query == "" && !p.PersistsByHash()) {
					t.Errorf("%q, and a cached answer is looked for", got)
				}
				if got != want || got == ok && p.Query != tt.text && strings.Contains(tt.request, `"a"`) {
					t.Errorf("%q, want %q; it runs %q", got, want, p.Query)
				}
			}
		})
	}
}

func quote(text string) string { return fmt.Sprintf("%q", text) }
