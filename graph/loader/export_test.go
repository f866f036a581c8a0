package loader

import "github.com/consoleql/consoleql/internal/scope"

// KindOf gives external tests the kinds of types.
func (e *Engine) KindOf(typ string) string { return e.kindOf(typ) }

// ObserveListSize notes the length of a list.
func (e *Engine) ObserveListSize(who, kind string, sc scope.Scope, n int) {
	e.capabilities.ObserveListSize(who, kind, sc, n)
}

// ObserveClamp notes the size of a page that is smaller than was asked for.
func (e *Engine) ObserveClamp(who, kind string, n int) { e.capabilities.ObserveClamp(who, kind, n) }

// ObserveLeastPage notes the size of a page that is larger than was asked for.
func (e *Engine) ObserveLeastPage(who, kind string, n int) {
	e.capabilities.ObserveLeastPage(who, kind, n)
}

// ObserveIDs notes whether lists take `Ids`.
func (e *Engine) ObserveIDs(kind string, taken bool) { e.capabilities.ObserveIDs(kind, taken) }
