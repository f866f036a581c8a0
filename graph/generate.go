// Package graph is the GraphQL side of the gateway; its rooms are its folders.
package graph

//go:generate go run ./generate
