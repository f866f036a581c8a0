package loader

import (
	"testing"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/principal"
)

// TestCompaniesSeen verifies that an API key with scopes sees the companies of its scopes only, each once.
// Scopes name companies by `companyId`; the console's document has a second id.
func TestCompaniesSeen(t *testing.T) {
	in := "scope"
	companies := []*cc.Company{{ID: "own", CompanyID: &in}, {ID: "second"}, {ID: "other"}, {ID: "SCOPE"}}
	limits := &principal.Limits{Scopes: []principal.ScopeLimit{{CompanyID: "scope"}, {CompanyID: "second"}}}
	if got := visible(limits, companies); len(got) != 2 || got[0] != companies[0] || got[1] != companies[1] {
		t.Errorf("seen are %v", got)
	}
	if got := visible(nil, companies); len(got) != 3 {
		t.Errorf("without limits, seen are %v", got)
	}
	if got := visible(nil, nil); got == nil {
		t.Error("the schema has an empty list, not null")
	}
}
