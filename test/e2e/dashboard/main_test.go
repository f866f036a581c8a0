package dashboard

import (
	"testing"

	"github.com/consoleql/consoleql/test/e2e"
)

func TestMain(m *testing.M) { e2e.RunTests(m) }
