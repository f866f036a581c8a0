// Package documentcheck measures the cost of the documents of manifests, by running them against a
// simulated console.
package documentcheck

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/schema"
	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/textfile"
	"github.com/consoleql/consoleql/internal/trusteddocuments"
)

// Options are the parameters of Run.
type Options struct {
	// Files are manifests, or folders of manifests.
	Files []string
	// Scale is the number of workflows of the simulated console; 0: a small console.
	Scale int
}

// Result is the cost of one operation, with empty caches. Calls and below are zero if Error is not
// empty.
type Result struct {
	File string `json:"file"`
	ID   string `json:"id"`
	// Name and Type are those of the operation. An invalid document has the name of its manifest.
	Name string `json:"name"`
	Type string `json:"type,omitempty"`
	// Calls is the number of calls of the console.
	Calls int `json:"calls"`
	// OrMore tells that the plan ended early, so that the operation makes more calls.
	OrMore bool `json:"orMore,omitempty"`
	// Rounds is how often the operation waits for the console at least, by its plan.
	Rounds int `json:"rounds"`
	// Depth is the nesting of fields.
	Depth int `json:"depth"`
	// Values is the number of objects, lists and scalars of the data, and Bytes its size in JSON.
	Values int `json:"values"`
	Bytes  int `json:"bytes"`
	// Planned tells that the operation did not run, because it is a subscription, takes a file or signs out.
	// Calls are those of its plan then, and Values and Bytes are zero.
	Planned bool `json:"planned,omitempty"`
	// Error tells why the document has no cost: it is invalid, or its answer has errors.
	Error string `json:"error,omitempty"`
}

// job is an operation to be measured.
type job struct {
	entry     trusteddocuments.Entry
	operation *ast.OperationDefinition
	variables json.RawMessage
	files     []string // the paths of variables that are files
}

// Run measures each operation of the manifests, and returns the results, the most expensive first
// and those with errors before them. An error concerns a manifest or the simulation.
func Run(ctx context.Context, o Options) (results []Result, err error) {
	jobs, results, err := read(o.Files)
	if err != nil {
		return nil, err
	}
	var reading []job
	for _, j := range jobs {
		if j.operation.Operation != ast.Mutation {
			reading = append(reading, j)
			continue
		}
		if results, err = measureAll(ctx, o, results, j); err != nil { // each sees the console without the changes of others
			return nil, err
		}
	}
	if results, err = measureAll(ctx, o, results, reading...); err != nil {
		return nil, err
	}
	slices.SortStableFunc(results, func(a, b Result) int {
		return cmp.Or(
			-cmp.Compare(min(len(a.Error), 1), min(len(b.Error), 1)), -cmp.Compare(a.Calls, b.Calls), -cmp.Compare(a.Rounds, b.Rounds),
			-cmp.Compare(a.Values, b.Values), -cmp.Compare(a.Bytes, b.Bytes), cmp.Compare(a.File, b.File), cmp.Compare(a.Name, b.Name),
		)
	})
	return results, nil
}

// measureAll starts a simulated console, and adds the costs of operations on it.
func measureAll(ctx context.Context, o Options, results []Result, jobs ...job) (_ []Result, err error) {
	sim, err := consolesim.Start(context.WithoutCancel(ctx), consolesim.Options{Seed: 1, Scale: o.Scale})
	if err != nil {
		return nil, fmt.Errorf("start the simulated console: %w", err)
	}
	defer func() { err = errors.Join(err, sim.Close()) }()
	for _, j := range jobs {
		r, err := measure(ctx, sim, j)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

// read reads the manifests and their example variables. It returns the operations, and results of
// invalid documents.
func read(files []string) (jobs []job, invalid []Result, err error) {
	s, err := schema.Load()
	if err != nil {
		return nil, nil, err
	}
	manifests, err := trusteddocuments.Manifests(files...)
	if err != nil {
		return nil, nil, err
	}
	entries := make(map[string][]trusteddocuments.Entry) // by folder, whose manifests serve loads together
	examples := make(map[string]map[string]json.RawMessage)
	for _, manifest := range manifests {
		of, err := trusteddocuments.ReadManifest(manifest)
		if err != nil {
			return nil, nil, err
		}
		folder := filepath.Dir(manifest)
		entries[folder] = append(entries[folder], of...)
		if examples[manifest], err = readVariables(trusteddocuments.VariablesFile(manifest)); err != nil {
			return nil, nil, err
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(entries)) {
		checkID := trusteddocuments.IDChecker(entries[folder])
		for _, e := range entries[folder] {
			reason := checkID(e)
			document, errs := querylimit.Parse(s, e.Text, querylimit.Limits{})
			if reason == "" && len(errs) > 0 {
				reason = trusteddocuments.Reason(errs[0])
			}
			if reason != "" {
				invalid = append(invalid, Result{File: e.File, ID: e.ID, Name: e.Name, Error: reason})
				continue
			}
			for _, op := range document.Operations {
				variables, places, err := nullFiles(s, op, examples[e.File][op.Name])
				if err != nil {
					return nil, nil, err
				}
				jobs = append(jobs, job{e, op, variables, places})
			}
		}
	}
	return jobs, invalid, nil
}

// readVariables reads example variables by the name of their operation. The file may be missing.
func readVariables(path string) (map[string]json.RawMessage, error) {
	text, err := textfile.Read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil //nolint:nilnil // no variables
	case err != nil:
		return nil, err
	}
	var variables map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &variables); err != nil {
		return nil, fmt.Errorf("%s is no JSON object of variables by operation: %w", path, err)
	}
	return variables, nil
}

// onlyPlanned reports whether an operation cannot be run here: it does not end, takes a file, or ends a session.
func (j job) onlyPlanned() bool {
	return j.operation.Operation == ast.Subscription || len(j.files) > 0 ||
		j.operation.Operation == ast.Mutation && slices.Contains(operation.RootFields(j.operation.SelectionSet), "signOut")
}
