package cachedconsole

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/scope"
)

// Lifetimes are the cache policies by kind.
type Lifetimes map[string]responsecache.Policy

// DefaultLifetimes returns the default cache policies.
func DefaultLifetimes() Lifetimes {
	l := make(Lifetimes)
	for _, k := range Kinds() {
		l[k.Name] = k.Policy
	}
	return l
}

// With returns a copy of l in which set has stored each duration in the policy of its kind. An unknown kind is an error
// that names it.
func (l Lifetimes) With(durations map[string]time.Duration, set func(*responsecache.Policy, time.Duration)) (Lifetimes, error) {
	changed := maps.Clone(l)
	for kind, d := range durations {
		policy, known := l[kind]
		if !known {
			return nil, fmt.Errorf("%q is none of the kinds %s", kind, strings.Join(slices.Sorted(maps.Keys(l)), ", "))
		}
		set(&policy, d)
		changed[kind] = policy
	}
	return changed, nil
}

// entity returns the cache's name for single entities of a kind. The cache needs one name per value type.
func entity(kind string) string { return kind + ".entity" }

// Policies returns l in the form of the response cache. A kind with lifetime 0 is never stale either.
func (l Lifetimes) Policies() responsecache.Policies {
	policies := make(responsecache.Policies, 2*len(l))
	for kind, p := range l {
		if p.Life == 0 {
			p = responsecache.Policy{}
		}
		policies[kind], policies[entity(kind)] = p, p
	}
	return policies
}

// tags returns the tags of an answer that depends on the kinds in the company of sc. Tags do not distinguish
// departments: the console's document does not say that lists or changes stay within one.
func tags(sc scope.Scope, kinds []string) []string {
	all := make([]string, len(kinds))
	for i, kind := range kinds {
		all[i] = tag(sc, kind)
	}
	return all
}

// refreshTag returns the tag that expires a principal's older answers of a kind after a refresh
// (operation.ReadOptions.RefreshID). The list of companies does not depend on the company in scope.
func refreshTag(identity string, sc scope.Scope, kind string) string {
	if kind == Companies {
		sc = scope.Scope{}
	}
	return identity + "\n" + tag(sc, kind)
}

func tag(sc scope.Scope, kind string) string { return kind + "@" + scope.Lower(sc.CompanyID) }
