package trusteddocuments

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/internal/textfile"
)

// Operation is a named operation of a trusted document.
type Operation struct {
	// Definition is a part of the validated document, and must not be modified.
	Definition *ast.OperationDefinition
	// Document is the SHA-256 of the document's text in hexadecimal. It is an id of the document.
	Document string
	// Description is that of the file beside the manifest, else the operation's own; empty: there is none.
	Description string
	// File is the path of the manifest.
	File string
}

// descriptionsFile returns the path of the descriptions beside a manifest. It is a JSON object of texts by the name of
// their operation.
func descriptionsFile(manifest string) string {
	return strings.TrimSuffix(manifest, ".json") + descriptions
}

// readDescriptions returns the descriptions beside a manifest; nil: there are none. Its errors name the file.
func readDescriptions(manifest string) (map[string]string, error) {
	path := descriptionsFile(manifest)
	text, err := textfile.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // a manifest needs no descriptions
	}
	if err != nil {
		return nil, err
	}
	var all map[string]string
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("%s is no JSON object of names and texts: %w", path, err)
	}
	return all, nil
}

// logUnused logs the descriptions that name no trusted operation of their manifest. parsed and described are those of operationsOf.
func logUnused(log *slog.Logger, entries []Entry, parsed map[string]*ast.QueryDocument, described map[string]map[string]string) {
	unused := make(map[string]map[string]string, len(described))
	for file, of := range described {
		unused[file] = maps.Clone(of)
	}
	for _, e := range entries {
		if document := parsed[e.Text]; document != nil {
			for _, definition := range document.Operations {
				delete(unused[e.File], definition.Name)
			}
		}
	}
	for _, file := range slices.Sorted(maps.Keys(unused)) {
		for _, name := range slices.Sorted(maps.Keys(unused[file])) {
			log.Warn("a description names no trusted operation of its manifest", "name", name, "file", descriptionsFile(file))
		}
	}
}

// operationsOf returns the named operations of the entries. parsed are the valid documents by their texts; each has its
// operations once. described are the descriptions by manifest and name.
func operationsOf(entries []Entry, parsed map[string]*ast.QueryDocument, described map[string]map[string]string) []Operation {
	var all []Operation
	at := make(map[string]int) // by document and name
	for _, e := range entries {
		document := parsed[e.Text]
		if document == nil {
			continue
		}
		sum := sha256.Sum256([]byte(e.Text))
		hash := hex.EncodeToString(sum[:])
		for _, definition := range document.Operations {
			description := described[e.File][definition.Name]
			i, known := at[hash+definition.Name]
			switch {
			case definition.Name == "":
			case known && description != "":
				all[i].Description = description
			case known:
			default:
				if description == "" {
					description = definition.Description
				}
				at[hash+definition.Name] = len(all)
				all = append(all, Operation{definition, hash, description, e.File})
			}
		}
	}
	return all
}
