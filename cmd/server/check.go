package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/consoleql/consoleql/internal/documentcheck"
)

type checkCommand struct {
	Files    []string `arg:"" name:"file" help:"Manifests of documents, or folders of manifests. Example variables, by the name of their operation, are in NAME.variables.json beside NAME.json."`
	Format   string   `enum:"table,json" default:"table" help:"Format of the result (${enum})."`
	MaxCalls int      `default:"0" help:"Calls of the console that a document may make. 0: any number."`
	Scale    int      `default:"0" help:"Number of workflows of the simulated console in all; 0 is a small one made by hand."`
}

// Validate checks what the flags' types cannot.
func (c *checkCommand) Validate() error {
	switch {
	case c.MaxCalls < 0:
		return errors.New("--max-calls must not be negative")
	case c.Scale < 0:
		return errors.New("--scale must not be negative")
	}
	return nil
}

// Run prints the cost of each document. It fails if a document has none, or costs more than it may.
func (c *checkCommand) Run(ctx context.Context, s stdio) error {
	results, err := documentcheck.Run(ctx, documentcheck.Options{Files: c.Files, Scale: c.Scale})
	if err != nil {
		return err
	}
	if c.Format == "json" {
		err = writeJSON(s.out, results)
	} else {
		err = writeTable(s.out, results)
	}
	if err != nil {
		return err
	}
	failed := 0
	for _, r := range results {
		problem := r.Error
		if c.MaxCalls > 0 && r.Calls > c.MaxCalls {
			problem = fmt.Sprintf("%d calls, more than %d", r.Calls, c.MaxCalls)
		}
		if problem != "" {
			failed++
			fmt.Fprintf(s.log, "consoleql: %s: %s\n", title(r), problem)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d documents failed", failed, len(results))
	}
	return nil
}

func writeJSON(w io.Writer, results []documentcheck.Result) error {
	if results == nil {
		results = []documentcheck.Result{}
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(results)
}

// writeTable writes the results. A document without a cost has dashes.
func writeTable(w io.Writer, results []documentcheck.Result) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "calls\trounds\tdepth\tvalues\tbytes\t  document")
	for _, r := range results {
		switch {
		case r.Error != "":
			fmt.Fprintf(table, "-\t-\t-\t-\t-\t  %s\n", title(r))
		case r.Planned:
			fmt.Fprintf(table, "%d\t%d\t%d\t-\t-\t  %s\n", r.Calls, r.Rounds, r.Depth, title(r))
		default:
			fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%d\t  %s\n", r.Calls, r.Rounds, r.Depth, r.Values, r.Bytes, title(r))
		}
	}
	return table.Flush()
}

// title returns the name of a document, or else its id, and its file.
func title(r documentcheck.Result) string {
	name := r.Name
	if name == "" {
		name = r.ID
	}
	return fmt.Sprintf("%s (%s)", name, r.File)
}
