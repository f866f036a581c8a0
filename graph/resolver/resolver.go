// Package resolver names the data of each field of the schema that is not a plain struct
// field. It loads nothing itself.
package resolver

import (
	"github.com/consoleql/consoleql/graph/mutation"
	"github.com/consoleql/consoleql/graph/subscription"
)

// Resolver is the root of the graph. The context of an operation carries its loaders.
type Resolver struct {
	// Mutations executes the mutations.
	Mutations *mutation.Service
	// Sessions executes signIn and signOut.
	Sessions mutation.SessionService
	// Subscriptions answers the subscriptions.
	Subscriptions *subscription.Service
}
