package entity

import (
	"errors"
	"net/http"
	"slices"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
)

// refusesIDs reports whether err is a refusal of `Ids`, and remembers one that will repeat.
func (l *Loader[T, F]) refusesIDs(err error) bool {
	if !refusesParameter(err) || isFailure(err) && l.supportsIDs() {
		return false
	}
	if isPermanent(err) {
		l.capabilities.ObserveIDs(l.kind.Type, false)
	}
	return true
}

// isFailure reports whether the console failed with 500. Some consoles answer so to a parameter that they do not know.
func isFailure(err error) bool {
	var answer *cc.Error
	return errors.As(err, &answer) && answer.Status == http.StatusInternalServerError
}

// isPermanent reports whether the refusal of a list with many ids will repeat: the console itself refused it, or the URL
// was too long.
func isPermanent(err error) bool {
	var answer *cc.Error
	if !errors.As(err, &answer) {
		return false
	}
	return !answer.FromIntermediary || answer.Status == http.StatusRequestURITooLong || answer.Status == http.StatusRequestHeaderFieldsTooLarge
}

// refusesParameter reports whether err shows that the console, or a proxy in front of it, does not take a list with many
// ids. A refusal of the caller, or a console that is down, does not show that.
func refusesParameter(err error) bool {
	if err == nil {
		return false
	}
	var consoleErr *cc.Error
	if !errors.As(err, &consoleErr) {
		return false
	}
	switch fault.CodeOf(err) {
	case fault.BadUserInput, fault.NotFound:
		return true
	default:
		return slices.Contains([]int{
			http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge,
			http.StatusInternalServerError, http.StatusNotImplemented,
		}, consoleErr.Status)
	}
}
