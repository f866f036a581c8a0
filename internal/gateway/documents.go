package gateway

import (
	"fmt"
	"slices"

	"github.com/consoleql/consoleql/graph/schema"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
	"github.com/consoleql/consoleql/internal/trusteddocuments"
)

// isMetricOperation reports whether metrics tell operations of that name apart: it is configured, or that of a trusted
// document.
func (g *Gateway) isMetricOperation(name string) bool {
	_, trusted := slices.BinarySearch(g.documents.Names(), name)
	return trusted || slices.Contains(g.settings.MetricOperations, name)
}

// openSchema loads the schema, creates the cache of parsed documents, and reads the trusted documents into it.
func (g *Gateway) openSchema() (err error) {
	s := g.settings
	load := schema.Load
	if s.Federation == "on" {
		load = schema.LoadFederated
	}
	if g.schema, err = load(); err != nil {
		return err
	}
	g.parsed = querylimit.NewParsedDocuments(g.schema)
	mode := s.documentsMode()
	if mode == "" {
		return nil
	}
	if g.documents, err = trusteddocuments.Open(trusteddocuments.Options{
		Path: s.TrustedDocuments, Mode: mode, Schema: g.schema, Limits: s.edgeLimits(), Parsed: g.parsed, Logger: g.log,
	}); err != nil {
		return fmt.Errorf("--trusted-documents: %w", err)
	}
	return nil
}
