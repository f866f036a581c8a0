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

// Limits are what an API key is held to, beyond what the console lets its service
// account do. They are not to be changed once a principal has them.
type Limits struct {
	// Operations are the kinds of operation allowed: query, mutation,
	// subscription. Empty: all.
	Operations []string
	// Fields are the root fields allowed. Empty: all.
	Fields []string
	// ConsoleCalls bounds the console calls of one operation. 0: the gateway's own bound.
	ConsoleCalls int
	// Types are the entity types that may be read, however they are reached. Empty: all.
	Types []string
	// Key is the name of the key.
	Key string
	// Scopes are where the console may be asked. Empty: wherever the account may.
	Scopes []ScopeLimit
}

// ScopeLimit is a company, and the departments of it.
type ScopeLimit struct {
	CompanyID string
	// DepartmentIDs are the departments; empty: all of the company.
	DepartmentIDs []string
}

// suffix tells the limits' scopes from others in a principal's name. What may be
// asked (operations, fields) does not change an answer; where it is asked does.
func (l *Limits) suffix() string {
	if l == nil || len(l.Scopes) == 0 {
		return ""
	}
	raw, err := json.Marshal(l.Scopes)
	if err != nil { // cannot be: they are plain texts
		return "#"
	}
	sum := sha256.Sum256(raw)
	return "#" + hex.EncodeToString(sum[:8])
}

// CheckField says whether a root field of an operation (query, mutation,
// subscription) may be asked for: FORBIDDEN if not. The names that begin with two
// underscores belong to GraphQL itself and are always allowed.
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

// CheckType says whether an entity type may be read: FORBIDDEN if not.
func (l *Limits) CheckType(name string) error {
	if l == nil || len(l.Types) == 0 || slices.Contains(l.Types, name) {
		return nil
	}
	return fault.New(fault.Forbidden, "the API key %q may not read the type %s", l.Key, name)
}

// CheckScope says whether the console may be asked in a scope: FORBIDDEN if not.
// A scope without a company asks which companies there are, and one without a
// department concerns the company itself; see SeesCompany for the former.
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

// SeesCompany says whether a company is one of the limits'.
func (l *Limits) SeesCompany(id string) bool {
	return l == nil || len(l.Scopes) == 0 ||
		slices.ContainsFunc(l.Scopes, func(s ScopeLimit) bool { return strings.EqualFold(s.CompanyID, id) })
}

// OnlyScope is the one scope of the limits, where they leave no choice: requests
// that name none then mean it. A part of which there is a choice is empty.
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
