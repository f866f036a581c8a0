// Package mcp serves trusted documents as tools of the Model Context Protocol.
package mcp

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/internal/operation"
	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/trusteddocuments"
)

// Options are the parameters of Tools.
type Options struct {
	// Schema is the served schema; required.
	Schema *ast.Schema
	// Mutations are the names of the mutations that are tools.
	Mutations []string
	// Accepted returns an error if the session of the principal in ctx has ended; nil: none has.
	Accepted func(ctx context.Context) error
	// Version is that of the program.
	Version string
	// Logger receives operations that are no tools although they have a description; required.
	Logger *slog.Logger
}

// Tools are the tools of the endpoint. It is safe for concurrent use.
type Tools struct {
	opts    Options
	current atomic.Pointer[[]*tool] // by name
}

// tool is an operation of a trusted document.
type tool struct {
	*sdk.Tool
	operation ast.Operation
	document  string   // the id of its document
	roots     []string // its root fields
	// arguments maps the names of the arguments to true if they are variables of the operation.
	arguments map[string]bool
	keyed     string // the variable whose member idempotencyKey the argument of that name sets; empty: none
	text      string // what a search looks at, in lower case
}

// The tools that replace the others where there are many of them.
const (
	searchOperations = "search_operations"
	runOperation     = "run_operation"
)

// maxListed is the number of tools up to which each is listed.
const maxListed = 20

// New returns Tools without tools.
func New(o Options) *Tools {
	t := &Tools{opts: o}
	t.current.Store(new([]*tool))
	return t
}

// Load replaces the tools by the operations that have a description: all queries, and the mutations of the options. It logs
// an operation that cannot be a tool with the reason, and a name that several documents have, which names no tool.
func (t *Tools) Load(operations []trusteddocuments.Operation) {
	byName := make(map[string][]trusteddocuments.Operation)
	var names []string
	for _, o := range operations {
		if byName[o.Definition.Name] == nil {
			names = append(names, o.Definition.Name)
		}
		byName[o.Definition.Name] = append(byName[o.Definition.Name], o)
	}
	slices.Sort(names)
	var all []*tool
	mutations := 0
	for _, name := range names {
		made, reason := t.newTool(byName[name])
		if reason != "" {
			t.opts.Logger.Warn("an operation is no tool", "name", name, "file", byName[name][0].File, "reason", reason)
		}
		if made == nil {
			continue
		}
		all = append(all, made)
		if made.operation == ast.Mutation {
			mutations++
		}
	}
	t.current.Store(&all)
	for _, name := range t.Missing() {
		t.opts.Logger.Warn("--mcp-mutations names no mutation that can be a tool", "name", name)
	}
	t.opts.Logger.Info("tools of the endpoint /mcp", "tools", len(all), "mutations", mutations)
}

// Missing returns the names of Options.Mutations that are no tools. Nil Tools miss none.
func (t *Tools) Missing() (names []string) {
	if t == nil {
		return nil
	}
	for _, name := range t.opts.Mutations {
		if tool := find(*t.current.Load(), name); tool == nil || tool.operation != ast.Mutation {
			names = append(names, name)
		}
	}
	return names
}

// newTool makes the tool of a name. It returns nil if there is none, and the reason if that may surprise.
func (t *Tools) newTool(operations []trusteddocuments.Operation) (*tool, string) {
	o := operations[0]
	definition := o.Definition
	described := slices.ContainsFunc(operations, func(o trusteddocuments.Operation) bool { return o.Description != "" })
	switch {
	case !described && !slices.Contains(t.opts.Mutations, definition.Name):
		return nil, ""
	case len(operations) > 1:
		return nil, fmt.Sprintf("%d documents have an operation of that name", len(operations))
	case definition.Operation == ast.Mutation && !slices.Contains(t.opts.Mutations, definition.Name):
		return nil, ""
	case !described:
		return nil, "it has no description"
	case definition.Operation == ast.Subscription:
		return nil, "it is a subscription"
	case definition.Name == searchOperations || definition.Name == runOperation:
		return nil, "the name has another meaning here"
	}
	roots := operation.RootFields(definition.SelectionSet)
	if slices.Contains(roots, "signIn") || slices.Contains(roots, "signOut") {
		return nil, "an agent has credentials of its own"
	}
	schema, keyed, err := inputSchema(t.opts.Schema, definition)
	if err != nil {
		return nil, err.Error()
	}
	made := &tool{
		Tool:      &sdk.Tool{Name: definition.Name, Description: o.Description, InputSchema: schema, Annotations: annotations(definition.Operation)},
		operation: definition.Operation,
		document:  o.Document,
		roots:     roots, arguments: make(map[string]bool), keyed: keyed,
		text: strings.ToLower(definition.Name + " " + o.Description),
	}
	for _, v := range definition.VariableDefinitions {
		made.arguments[v.Variable] = true
	}
	if keyed != "" {
		made.arguments[idempotencyKey] = false
	}
	return made, ""
}

// annotations returns the hints of a tool of that kind.
func annotations(kind ast.Operation) *sdk.ToolAnnotations {
	closed := false // the console is the only system that a tool reaches
	return &sdk.ToolAnnotations{ReadOnlyHint: kind == ast.Query, OpenWorldHint: &closed}
}

// visible returns the tools that a caller may run, by name. The types that an API key may read are checked when a tool runs.
func (t *Tools) visible(caller principal.Principal) []*tool {
	var all []*tool
	for _, tool := range *t.current.Load() {
		if tool.permits(caller) {
			all = append(all, tool)
		}
	}
	return all
}

// permits reports whether a caller may run the tool: for a mutation it needs an API key.
func (t *tool) permits(caller principal.Principal) bool {
	if t.operation == ast.Mutation && caller.Key() == "" {
		return false
	}
	return !slices.ContainsFunc(t.roots, func(field string) bool { return caller.Limits().CheckField(string(t.operation), field) != nil })
}
