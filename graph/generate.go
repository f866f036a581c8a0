// Package graph is the GraphQL side of the gateway; its rooms are its folders.
package graph

// gqlgen looks at the client's structs, whose package must compile for that.
//
//go:generate go generate ../internal/consoleclient
//go:generate go run ./codegen
