package main

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/internal/edge/graphiql"
)

//go:embed examples/*.graphql
var exampleFiles embed.FS

// Names of examples that both commands have.
const (
	executeExample = "examples/7-execute.graphql"
	signInExample  = "examples/8-sign-in.graphql"
)

// demoExamples returns GraphiQL's initial operations for the simulated console.
func demoExamples(data *consolesim.Data, username string) ([]graphiql.Example, error) {
	workflow := data.WorkflowIDs(data.MainDepartmentID())[0]
	names, err := fs.Glob(exampleFiles, "examples/*.graphql")
	if err != nil {
		return nil, err
	}
	return examples(names, map[string]string{
		"examples/3-packages.graphql":     `{ "text": "" }`,
		"examples/4-one-workflow.graphql": fmt.Sprintf(`{ "id": %q }`, workflow),
		executeExample:                    fmt.Sprintf(`{ "id": %q, "key": "my first execution" }`, workflow),
		signInExample:                     fmt.Sprintf(`{ "username": %q, "password": "" }`, username),
	})
}

// serveExamples returns GraphiQL's initial operations for a console of which nothing is known: first the sign-in.
func serveExamples() ([]graphiql.Example, error) {
	return examples([]string{
		signInExample, "examples/6-figures.graphql", "examples/1-dashboard.graphql", executeExample, "examples/5-robots-live.graphql",
	}, map[string]string{
		signInExample:  `{ "username": "", "password": "" }`,
		executeExample: `{ "id": "the id of a workflow", "key": "my first execution" }`,
	})
}

// examples reads files. The first line of each is its title.
func examples(names []string, variables map[string]string) ([]graphiql.Example, error) {
	all := make([]graphiql.Example, len(names))
	for i, name := range names {
		text, err := exampleFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		first, _, _ := strings.Cut(string(text), "\n")
		title, _, _ := strings.Cut(strings.TrimPrefix(first, "# "), ":")
		all[i] = graphiql.Example{Title: title, Query: string(text), Variables: variables[name]}
	}
	return all, nil
}
