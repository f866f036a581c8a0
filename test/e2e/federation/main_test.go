// Package federation tests the gateway as a subgraph of Apollo Federation.
package federation

import (
	"testing"

	"github.com/consoleql/consoleql/test/e2e"
)

func TestMain(m *testing.M) { e2e.RunTests(m) }
