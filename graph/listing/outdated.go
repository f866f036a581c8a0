// Package listing filters and orders whole lists of entities, where the console cannot.
package listing

import (
	"strings"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// Outdated reports whether a workflow runs another version than the latest one of its package. It is nil if that is not
// known, because the package is gone or one of them names no version.
func Outdated(w *cc.Workflow, p *cc.Package) *bool {
	switch {
	case p == nil:
		return nil
	case !scope.None(w.PackageVersionID) && !scope.None(p.LastVersionID):
		return new(!strings.EqualFold(*w.PackageVersionID, *p.LastVersionID))
	case w.PackageVersion != nil && p.LastVersion != nil:
		return new(*w.PackageVersion != *p.LastVersion)
	default:
		return nil
	}
}
