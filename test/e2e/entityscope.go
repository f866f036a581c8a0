package e2e

import (
	"context"
	"testing"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// AnyData returns the data of every simulator with the same seed.
func AnyData(t *testing.T) *consolesim.Data {
	t.Helper()
	sim, err := consolesim.Start(context.Background(), consolesim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.Close(); err != nil {
		t.Fatal(err)
	}
	return sim.Data()
}
