package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/schema"
	"github.com/consoleql/consoleql/internal/buildinfo"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
	"github.com/consoleql/consoleql/internal/mcp"
	"github.com/consoleql/consoleql/internal/telemetry"
	"github.com/consoleql/consoleql/internal/trusteddocuments"
)

// isMetricOperation reports whether metrics have a label value for operations of that name. The configured names have
// one, and then the first names of trusted documents, up to the limit.
func (g *Gateway) isMetricOperation(name string) bool {
	if slices.Contains(g.settings.MetricOperations, name) {
		return true
	}
	i, trusted := slices.BinarySearch(g.documents.Names(), name)
	return trusted && i < telemetry.MaxOperationNames-len(g.settings.MetricOperations)
}

// loadSchema returns the schema that the settings serve.
func (s *Settings) loadSchema() (*ast.Schema, error) {
	if s.Federation == "on" {
		return schema.LoadFederated()
	}
	return schema.Load()
}

// openDocuments reads the trusted documents into a cache of parsed documents. The tools are nil where there are no agents.
func (s *Settings) openDocuments(served *ast.Schema, parsed graphql.Cache[*ast.QueryDocument], accepted func(context.Context) error, log *slog.Logger) (list *trusteddocuments.List, tools *mcp.Tools, err error) {
	mode := s.documentsMode()
	if mode == "" {
		return nil, nil, nil
	}
	o := trusteddocuments.Options{Path: s.TrustedDocuments, Mode: mode, Schema: served, Limits: s.edgeLimits(), Parsed: parsed, Logger: log}
	if s.MCP == "on" {
		tools = mcp.New(mcp.Options{Schema: served, Mutations: s.MCPMutations, Accepted: accepted, Version: buildinfo.Read().Version, Logger: log})
		o.Loaded = tools.Load
	}
	list, err = trusteddocuments.Open(o)
	return list, tools, err //nolint:wrapcheck // the callers name the setting
}

// openSchema loads the schema, creates the cache of parsed documents, and reads the trusted documents into it.
func (g *Gateway) openSchema() (err error) {
	if g.schema, err = g.settings.loadSchema(); err != nil {
		return err
	}
	g.parsed = querylimit.NewParsedDocuments(g.schema)
	if g.documents, g.tools, err = g.settings.openDocuments(g.schema, g.parsed, g.accepted, g.log); err != nil {
		return fmt.Errorf("--trusted-documents: %w", err)
	}
	return nil
}
