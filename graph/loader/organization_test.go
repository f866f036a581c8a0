package loader

import (
	"testing"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/principal"
)

// TestCompaniesSeen verifies that an API key with scopes sees the companies of its scopes only.
// Scopes name companies by `companyId`; the console's document has a second id.
func TestCompaniesSeen(t *testing.T) {
	in := "scope"
	companies := []*cc.Company{{ID: "own", CompanyID: &in}, {ID: "scope"}, {ID: "other"}}
	limits := &principal.Limits{Scopes: []principal.ScopeLimit{{CompanyID: "scope"}}}
	if got := visible(limits, companies); len(got) != 2 || got[0] != companies[0] || got[1] != companies[1] {
		t.Errorf("seen are %v", got)
	}
	if got := visible(nil, companies); len(got) != 3 {
		t.Errorf("without limits, seen are %v", got)
	}
}
