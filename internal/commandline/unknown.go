package commandline

import (
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/alecthomas/kong"
)

// injected matches the variables that Kubernetes sets in each container for a Service whose name begins with
// "consoleql" (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
func injected(name, value string) bool {
	return serviceVariable.MatchString(name) || name == "CONSOLEQL_PORT" || strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://")
}

var serviceVariable = regexp.MustCompile(`_SERVICE_(HOST|PORT)(_\w+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$`)

// UnknownVariable is a variable CONSOLEQL_* of the environment that is no setting of any command.
type UnknownVariable struct {
	Name    string
	Nearest string // the setting with the fewest edits to Name
}

// unknownVariables returns the unknown variables in the order of their names.
func unknownVariables(app *kong.Application) []UnknownVariable {
	known := make(map[string]bool)
	_ = kong.Visit(app, func(node kong.Visitable, next kong.Next) error { // fails only if next does
		if flag, ok := node.(*kong.Flag); ok {
			for _, name := range flag.Envs {
				known[name] = true
			}
		}
		return next(nil)
	})
	var unknown []UnknownVariable
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, "CONSOLEQL_") || known[name] || injected(name, value) {
			continue
		}
		unknown = append(unknown, UnknownVariable{name, nearest(name, known)})
	}
	slices.SortFunc(unknown, func(a, b UnknownVariable) int { return strings.Compare(a.Name, b.Name) })
	return unknown
}

// nearest returns the name with the fewest edits to name, the first in order where several have as few.
func nearest(name string, known map[string]bool) string {
	best, least := "", -1
	for candidate := range known {
		edits := levenshtein.ComputeDistance(name, candidate)
		if least < 0 || edits < least || edits == least && candidate < best {
			best, least = candidate, edits
		}
	}
	return best
}
