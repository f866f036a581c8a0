package apikey

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/consoleql/consoleql/internal/principal"
	"github.com/consoleql/consoleql/internal/scope"
)

// expiry returns the time from which the key is not valid; zero: there is none.
func (k *fileKey) expiry() (time.Time, error) {
	if _, written := k.present["expires"]; !written {
		return time.Time{}, nil
	}
	expires, err := time.Parse(time.RFC3339, k.Expires)
	if err != nil {
		return time.Time{}, errors.New("expires: it is not a time with an offset, such as 2027-01-31T18:00:00+08:00")
	}
	return expires, nil
}

func (o Options) limits(f fileKey) (*principal.Limits, error) {
	var problems []error
	if err := f.present.rejectEmpty("operations", "fields", "types", "scopes"); err != nil {
		problems = append(problems, err)
	}
	if value, written := f.present["maxConsoleCalls"]; written {
		if whole, ok := value.(uint64); !ok || whole == 0 { // the decoder truncates fractions
			problems = append(problems, errors.New("maxConsoleCalls: it is not a whole number above 0; leave it out for the gateway's own bound"))
		}
	}
	problems = append(problems, o.checkNames(f))
	limits := &principal.Limits{Key: f.Name, Operations: f.Operations, Fields: f.Fields, Types: f.Types, ConsoleCalls: f.MaxConsoleCalls}
	for i, s := range f.Scopes {
		limit, err := s.limit()
		if err != nil {
			problems = append(problems, fmt.Errorf("scopes, number %d: %w", i+1, err))
		}
		limits.Scopes = append(limits.Scopes, limit)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if len(f.Operations)+len(f.Fields)+len(f.Types)+len(f.Scopes)+f.MaxConsoleCalls == 0 {
		return nil, nil //nolint:nilnil // no limits
	}
	return limits, nil
}

// limit returns the scope as a limit, or its first problem.
func (s *fileScope) limit() (limit principal.ScopeLimit, err error) {
	if err := s.present.rejectEmpty("departmentIds"); err != nil {
		return limit, err
	}
	if limit.CompanyID, err = scope.ParseID(s.CompanyID); err != nil {
		return limit, fmt.Errorf("companyId: %w", err)
	}
	for _, id := range s.DepartmentIDs {
		department, err := scope.ParseID(id)
		if err != nil {
			return limit, fmt.Errorf("departmentIds: %w", err)
		}
		limit.DepartmentIDs = append(limit.DepartmentIDs, department)
	}
	return limit, nil
}

// checkNames reports all unknown names in a key's limits.
func (o Options) checkNames(f fileKey) error {
	var problems []error
	for _, operation := range f.Operations {
		if operation != "query" && operation != "mutation" && operation != "subscription" {
			problems = append(problems, fmt.Errorf("operations: %q is none of query, mutation, subscription", operation))
		}
	}
	for _, field := range f.Fields {
		if len(o.Fields) > 0 && !slices.Contains(o.Fields, field) {
			problems = append(problems, fmt.Errorf("fields: the schema has no root field %q", field))
		}
	}
	for _, name := range f.Types {
		if len(o.Types) > 0 && !slices.Contains(o.Types, name) {
			problems = append(problems, fmt.Errorf("types: the schema has no object type %q", name))
		}
	}
	return errors.Join(problems...)
}
