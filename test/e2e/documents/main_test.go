// Package documents tests trusted documents and the texts of automatic persisted queries.
package documents

import (
	"testing"

	"github.com/consoleql/consoleql/test/e2e"
)

func TestMain(m *testing.M) { e2e.RunTests(m) }
