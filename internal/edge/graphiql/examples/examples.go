// Package examples has the operations with which GraphiQL begins.
package examples

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/edge/graphiql"
)

//go:embed *.graphql
var files embed.FS

// Names of files that Demo and Serve have.
const (
	executeExample = "7-execute.graphql"
	signInExample  = "8-sign-in.graphql"
)

// Demo returns the operations for the simulated console, whose user has the given name.
func Demo(data *consolesim.Data, username string) ([]graphiql.Example, error) {
	workflow := data.WorkflowIDs(data.MainDepartmentID())[0]
	names, err := fs.Glob(files, "*.graphql")
	if err != nil {
		return nil, err
	}
	return read(names, map[string]string{
		"3-packages.graphql":     `{ "text": "" }`,
		"4-one-workflow.graphql": fmt.Sprintf(`{ "id": %q }`, workflow),
		executeExample:           fmt.Sprintf(`{ "id": %q, "key": "my first execution" }`, workflow),
		signInExample:            fmt.Sprintf(`{ "username": %q, "password": "" }`, username),
	})
}

// Serve returns the operations for a console of which nothing is known: first the sign-in.
func Serve() ([]graphiql.Example, error) {
	return read([]string{
		signInExample, "6-figures.graphql", "1-dashboard.graphql", executeExample, "5-robots-live.graphql",
	}, map[string]string{
		signInExample:  `{ "username": "", "password": "" }`,
		executeExample: `{ "id": "the id of a workflow", "key": "my first execution" }`,
	})
}

// read reads files. The first line of each is its title.
func read(names []string, variables map[string]string) ([]graphiql.Example, error) {
	all := make([]graphiql.Example, len(names))
	for i, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		first, _, _ := strings.Cut(string(text), "\n")
		title, _, _ := strings.Cut(strings.TrimPrefix(first, "# "), ":")
		all[i] = graphiql.Example{Title: title, Query: string(text), Variables: variables[name]}
	}
	return all, nil
}
