// Package graph contains the GraphQL side of the gateway in its subpackages.
package graph

// gqlgen looks at the client's structs, whose package must compile for that.
//
//go:generate go generate ../internal/consoleclient
//go:generate go run ./codegen
