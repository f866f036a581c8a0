// Package resolver names, for each field of the schema that is not plain data,
// the data that answers it. It fetches nothing itself.
package resolver

import (
	"github.com/consoleql/consoleql/graph/mutation"
	"github.com/consoleql/consoleql/graph/subscription"
)

// Resolver is the root of the graph. What reads need travels with the operation.
type Resolver struct {
	// Mutations carries out the mutations.
	Mutations *mutation.Service
	// Sessions lets users in and out.
	Sessions mutation.SessionService
	// Subscriptions answers the subscriptions.
	Subscriptions *subscription.Service
}
