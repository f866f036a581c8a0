package main

import (
	"context"
	"errors"
	"fmt"

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
	if err := documentcheck.Write(s.out, c.Format, results); err != nil {
		return err
	}
	failures := documentcheck.Failures(results, c.MaxCalls)
	for _, line := range failures {
		fmt.Fprintln(s.log, "consoleql:", line)
	}
	if len(failures) > 0 {
		return fmt.Errorf("%d of %d documents failed", len(failures), len(results))
	}
	return nil
}
