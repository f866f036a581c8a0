package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consoleql/consoleql/internal/consolesim"
)

// TestDeferredFragmentsAreAnsweredAtOnce: @defer, which every schema has, may be
// ignored; but what is below it must not be missing from the answer.
func TestDeferredFragmentsAreAnsweredAtOnce(t *testing.T) {
	w := newWorld(t, consolesim.Options{})
	const query = `{ workflows(first: 2) { nodes { name ... { package { name } robots { name } } } } }`
	const deferred = `{ workflows(first: 2) { nodes { name ... @defer { package { name } robots { name } } } } }`
	var want, got any
	for query, into := range map[string]*any{query: &want, deferred: &got} {
		w.query(query, into)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("- without @defer + with it: %s", diff)
	}
}
