package trusteddocuments

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/jsonobject"
	"github.com/consoleql/consoleql/internal/textfile"
)

// apolloFormat is the member format of a manifest of Apollo's generator. Its only version is 1
// (https://www.apollographql.com/docs/graphos/platform/security/persisted-queries#manifest-format).
const apolloFormat = "apollo-persisted-query-manifest"

// The ends of the names of files beside a manifest, which are no manifests.
const (
	descriptions = ".descriptions.json"
	variables    = ".variables.json"
)

// Entry is a document of a manifest, which may be invalid.
type Entry struct {
	ID   string
	Name string // of the operation; empty if the manifest does not tell it
	Text string
	File string // path of the manifest
}

// VariablesFile returns the path of the example variables beside a manifest. It is a JSON object of
// variables by the name of their operation.
func VariablesFile(manifest string) string { return strings.TrimSuffix(manifest, ".json") + variables }

// companionOf returns the path of the manifest that a file describes by its name; false: the file may be a manifest
// itself.
func companionOf(path string) (manifest string, ok bool) {
	for _, end := range []string{descriptions, variables} {
		if name, ok := strings.CutSuffix(path, end); ok {
			return name + ".json", true
		}
	}
	return "", false
}

// Manifests returns the manifests of files and folders. It leaves out a file that belongs to a manifest of the same files.
func Manifests(paths ...string) (all []string, err error) {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if info.IsDir() {
			of, err := manifestsIn(path)
			if err != nil {
				return nil, err
			}
			all = append(all, of...)
			continue
		}
		manifest, ok := companionOf(path)
		switch {
		case !ok:
			all = append(all, path)
		case !slices.Contains(paths, manifest):
			return nil, fmt.Errorf("%s is no manifest: by its name it belongs to %s", path, manifest)
		}
	}
	return all, nil
}

// manifestsIn returns the manifests of a folder.
func manifestsIn(folder string) ([]string, error) {
	all, err := filepath.Glob(filepath.Join(escapeGlob(folder), "*.json"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", folder, err)
	}
	all = slices.DeleteFunc(all, func(file string) bool {
		_, ok := companionOf(file)
		return ok
	})
	if len(all) == 0 {
		return nil, fmt.Errorf("%s holds no manifest *.json", folder)
	}
	return all, nil
}

// escapeGlob escapes the characters of a path that have a meaning in a pattern.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// ReadManifest returns the documents of a manifest: that of Apollo's generator, or the object of
// ids and texts of Relay and GraphQL Code Generator. Its errors name the file.
func ReadManifest(path string) ([]Entry, error) {
	text, err := textfile.Read(path)
	if err != nil {
		return nil, err
	}
	entries, err := parse([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%s %w", path, err)
	}
	for i := range entries {
		entries[i].File = path
	}
	return entries, nil
}

// parse parses a manifest. Ids may be repeated.
func parse(text []byte) ([]Entry, error) {
	var entries []Entry
	var format string
	var apollo jsontext.Value
	err := members(text, func(name string, value jsontext.Value) error {
		if value.Kind() != '"' {
			if name == "operations" {
				apollo = value.Clone()
			}
			if name == "operations" || name == "version" {
				return nil
			}
			return fmt.Errorf("has at %q no text of a document", name)
		}
		var document string
		if err := json.Unmarshal(value, &document); err != nil {
			return fmt.Errorf("has at %q no text of a document: %w", name, err)
		}
		if name == "format" {
			format = document
			return nil
		}
		entries = append(entries, Entry{ID: name, Text: document})
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case format == "" && apollo == nil:
		return entries, nil
	case format != apolloFormat:
		return nil, fmt.Errorf("is of the format %q, not %q", format, apolloFormat)
	default:
		return parseApollo(text)
	}
}

// parseApollo parses a manifest of Apollo's generator.
func parseApollo(text []byte) ([]Entry, error) {
	var manifest struct {
		Version    int
		Operations []struct{ ID, Name, Body string }
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return nil, fmt.Errorf("is no manifest: %w", err)
	}
	switch {
	case manifest.Version != 1:
		return nil, fmt.Errorf("is of version %d, not 1", manifest.Version)
	case manifest.Operations == nil:
		return nil, errors.New(`has no list of "operations"`)
	}
	entries := make([]Entry, len(manifest.Operations))
	for i, o := range manifest.Operations {
		entries[i] = Entry{ID: o.ID, Name: o.Name, Text: o.Body}
	}
	return entries, nil
}

// members calls each with the members of a JSON object, repeated ones included.
func members(text []byte, each func(name string, value jsontext.Value) error) error {
	err := jsonobject.Members(text, each)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jsonobject.ErrNotObject):
		return errors.New("is no JSON object")
	case errors.Is(err, jsonobject.ErrTrailing):
		return errors.New("holds more than one JSON object")
	}
	if syntax, ok := errors.AsType[*jsonobject.SyntaxError](err); ok {
		return fmt.Errorf("is no JSON: %w", syntax.Err)
	}
	return err
}
