package gateway

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/consoleql/consoleql/graph/schema"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
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

// openDocuments reads the trusted documents into a cache of parsed documents. It returns nil if there are none.
func (s *Settings) openDocuments(served *ast.Schema, parsed graphql.Cache[*ast.QueryDocument], log *slog.Logger) (*trusteddocuments.List, error) {
	mode := s.documentsMode()
	if mode == "" {
		return nil, nil //nolint:nilnil // there is no list, and no error
	}
	return trusteddocuments.Open(trusteddocuments.Options{
		Path: s.TrustedDocuments, Mode: mode, Schema: served, Limits: s.edgeLimits(), Parsed: parsed, Logger: log,
	})
}

// openSchema loads the schema, creates the cache of parsed documents, and reads the trusted documents into it.
func (g *Gateway) openSchema() (err error) {
	if g.schema, err = g.settings.loadSchema(); err != nil {
		return err
	}
	g.parsed = querylimit.NewParsedDocuments(g.schema)
	if g.documents, err = g.settings.openDocuments(g.schema, g.parsed, g.log); err != nil {
		return fmt.Errorf("--trusted-documents: %w", err)
	}
	return nil
}
