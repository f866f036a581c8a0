package gateway

import (
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

// isMetricOperation reports whether metrics tell operations of that name apart: it is configured, or one of the first
// names of trusted documents for which the configured ones leave room.
func (g *Gateway) isMetricOperation(name string) bool {
	configured := g.settings.MetricOperations
	if slices.Contains(configured, name) {
		return true
	}
	i, trusted := slices.BinarySearch(g.documents.Names(), name)
	return trusted && i < telemetry.MaxOperationNames-len(configured)
}

// loadSchema returns the schema that the settings serve.
func (s *Settings) loadSchema() (*ast.Schema, error) {
	if s.Federation == "on" {
		return schema.LoadFederated()
	}
	return schema.Load()
}

// openDocuments reads the trusted documents into a cache of parsed documents, and into tools. It returns nil if there are
// none.
func (s *Settings) openDocuments(served *ast.Schema, parsed graphql.Cache[*ast.QueryDocument], tools *mcp.Tools, log *slog.Logger) (*trusteddocuments.List, error) {
	mode := s.documentsMode()
	if mode == "" {
		return nil, nil //nolint:nilnil // there is no list, and no error
	}
	o := trusteddocuments.Options{Path: s.TrustedDocuments, Mode: mode, Schema: served, Limits: s.edgeLimits(), Parsed: parsed, Logger: log}
	if tools != nil {
		o.Loaded = tools.Load
	}
	return trusteddocuments.Open(o)
}

// openSchema loads the schema, creates the cache of parsed documents, and reads the trusted documents into it.
func (g *Gateway) openSchema() (err error) {
	if g.schema, err = g.settings.loadSchema(); err != nil {
		return err
	}
	g.parsed = querylimit.NewParsedDocuments(g.schema)
	if g.settings.MCP == "on" {
		g.tools = mcp.New(mcp.Options{Schema: g.schema, Mutations: g.settings.MCPMutations, Accepted: g.accepted, Version: buildinfo.Read().Version, Logger: g.log})
	}
	if g.documents, err = g.settings.openDocuments(g.schema, g.parsed, g.tools, g.log); err != nil {
		return fmt.Errorf("--trusted-documents: %w", err)
	}
	return nil
}
