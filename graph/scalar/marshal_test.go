package scalar_test

import (
	"testing"

	"github.com/consoleql/consoleql/graph/scalar"
	"github.com/consoleql/consoleql/graph/sequential"
)

// TestIDsAreWrittenAlike verifies that generated code writes ids as MarshalID does.
func TestIDsAreWrittenAlike(t *testing.T) {
	a := sequential.NewAnswer(sequential.Limits{}, nil, nil)
	for _, id := range []string{"", "40143948-f359-4b9f-949f-ad179bcf1397", "no \"GUID\""} {
		if got, want := string(sequential.Bytes(a.String(id))), string(sequential.Bytes(scalar.MarshalID(id))); got != want {
			t.Errorf("%q is written as %s, want %s", id, got, want)
		}
	}
}
