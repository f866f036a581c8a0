package principal

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// Limits restrict an API key beyond the rights of its service account. A principal's limits must not be modified.
type Limits struct {
	// Operations are the allowed kinds of operation: query, mutation, subscription. Empty: all.
	Operations []string
	// Fields are the allowed root fields. Empty: all.
	Fields []string
	// ConsoleCalls bounds the console calls of one operation. 0: the gateway's bound.
	ConsoleCalls int
	// Types are the entity types that the key may read on any path. Empty: all.
	Types []string
	// Key is the name of the key.
	Key string
	// Scopes are the scopes that the key may use. Empty: all scopes of the account.
	Scopes []ScopeLimit
}

// ScopeLimit is a company and some of its departments.
type ScopeLimit struct {
	CompanyID string
	// DepartmentIDs are the allowed departments; empty: all of the company.
	DepartmentIDs []string
}

// suffix returns the part of a principal's name that identifies the limits' scopes. Allowed operations and fields do
// not change an answer, but scopes do.
func (l *Limits) suffix() string {
	if l == nil || len(l.Scopes) == 0 {
		return ""
	}
	raw, err := json.Marshal(l.Scopes)
	if err != nil { // unreachable: the values are plain strings
		return "#"
	}
	sum := sha256.Sum256(raw)
	return "#" + hex.EncodeToString(sum[:8])
}

// CheckField fails with FORBIDDEN if a root field of an operation (query, mutation, subscription) is not allowed.
// Names that begin with two underscores belong to GraphQL and are always allowed.
func (l *Limits) CheckField(operation, field string) error {
	switch {
	case l == nil, strings.HasPrefix(field, "__"):
		return nil
	case len(l.Operations) > 0 && !slices.Contains(l.Operations, operation):
		return fault.New(fault.Forbidden, "the API key may not be used for a %s", operation)
	case len(l.Fields) > 0 && !slices.Contains(l.Fields, field):
		return fault.New(fault.Forbidden, "the API key may not be used for the field %s", field)
	default:
		return nil
	}
}

// CheckType fails with FORBIDDEN if an entity type must not be read.
func (l *Limits) CheckType(name string) error {
	if l == nil || len(l.Types) == 0 || slices.Contains(l.Types, name) {
		return nil
	}
	return fault.New(fault.Forbidden, "the API key %q may not read the type %s", l.Key, name)
}

// CheckScope fails with FORBIDDEN if a scope must not be used. A scope without a company is allowed, because it lists
// the companies; see SeesCompany. A scope without a department concerns the company itself.
func (l *Limits) CheckScope(sc scope.Scope) error {
	if l == nil || len(l.Scopes) == 0 || sc.CompanyID == "" && sc.DepartmentID == "" {
		return nil
	}
	for _, s := range l.Scopes {
		if s.CompanyID == sc.CompanyID && (sc.DepartmentID == "" || len(s.DepartmentIDs) == 0 || slices.Contains(s.DepartmentIDs, sc.DepartmentID)) {
			return nil
		}
	}
	return fault.New(fault.Forbidden, "the API key may not be used in this company and department")
}

// SeesCompany reports whether the limits allow a company.
func (l *Limits) SeesCompany(id string) bool {
	return l == nil || len(l.Scopes) == 0 ||
		slices.ContainsFunc(l.Scopes, func(s ScopeLimit) bool { return strings.EqualFold(s.CompanyID, id) })
}

// OnlyScope returns the only scope that the limits allow, which requests without a scope use. A part with several
// allowed values is empty.
func (l *Limits) OnlyScope() scope.Scope {
	if l == nil || len(l.Scopes) != 1 {
		return scope.Scope{}
	}
	only := scope.Scope{CompanyID: l.Scopes[0].CompanyID}
	if departments := l.Scopes[0].DepartmentIDs; len(departments) == 1 {
		only.DepartmentID = departments[0]
	}
	return only
}
