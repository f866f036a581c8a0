// Package mcp tests the endpoint /mcp with the client of the official SDK, and with requests of no client.
package mcp

import (
	"testing"

	"github.com/consoleql/consoleql/test/e2e"
)

func TestMain(m *testing.M) { e2e.RunTests(m) }
