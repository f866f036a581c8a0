package main

import (
	"encoding/json"
	"net/http"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/consoleql/consoleql/test/e2e"
)

// TestReadmeQuery sends the README's query to the demo and compares the answers. It ignores the robots' status, which
// changes over time.
func TestReadmeQuery(t *testing.T) {
	example := regexp.MustCompile("(?s)```graphql\n(.*?)```\n\n```json\n(.*?)```").FindStringSubmatch(repositoryFile(t, "README.md"))
	if example == nil {
		t.Fatal("the README has no query with an answer")
	}
	demo := start(t, "admin listening", "demo", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0")
	w := &e2e.World{T: t, URL: demo.demoURL(t), Client: http.DefaultClient}
	var got, want any
	if err := json.Unmarshal(w.Ask(example[1], e2e.Request{}).Body, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(example[2]), &want); err != nil {
		t.Fatal(err)
	}
	changing := cmpopts.IgnoreMapEntries(func(name string, _ any) bool { return name == "status" })
	if diff := cmp.Diff(want, got, changing); diff != "" {
		t.Errorf("the demo answers otherwise than the README says:\n%s", diff)
	}
}
