package mcp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/consoleql/consoleql/internal/edge/graphqlhttp"
	"github.com/consoleql/consoleql/internal/fault"
)

const (
	// maxFound bounds the operations that a search returns.
	maxFound = 10
	// maxFoundBytes bounds them in bytes of JSON, so that they fit into a result as text and as structured content.
	maxFoundBytes = 24 << 10
)

// searchTool returns the tool that finds operations.
func searchTool(operations int) *sdk.Tool {
	closed := false
	return &sdk.Tool{
		Name: searchOperations,
		Description: fmt.Sprintf("Finds operations by words in their names and descriptions. There are %d operations; at most %d are returned, the best first, "+
			"each with the JSON Schema of its arguments. Run one with %s.", operations, maxFound, runOperation),
		InputSchema: jsonSchema{
			"type": "object", "additionalProperties": false,
			"properties": jsonSchema{"query": jsonSchema{"type": "string", "description": "Words, such as: robots offline. Without words, the first operations are returned by name."}},
		},
		Annotations: &sdk.ToolAnnotations{ReadOnlyHint: true, OpenWorldHint: &closed},
	}
}

// runTool returns the tool that runs an operation.
func runTool() *sdk.Tool {
	closed := false
	return &sdk.Tool{
		Name:        runOperation,
		Description: "Runs an operation that " + searchOperations + " has found. An operation of the type mutation changes the console.",
		InputSchema: jsonSchema{
			"type": "object", "additionalProperties": false, "required": []string{"name"},
			"properties": jsonSchema{
				"name":      jsonSchema{"type": "string", "description": "The name of the operation."},
				"arguments": jsonSchema{"type": "object", "description": "The arguments of the operation, by its JSON Schema."},
			},
		},
		Annotations: &sdk.ToolAnnotations{OpenWorldHint: &closed},
	}
}

// readRun returns the name and the arguments of an operation to run.
func readRun(arguments jsontext.Value) (name string, of jsontext.Value, refused *fault.Error) {
	err := members(arguments, func(member string, value jsontext.Value) error {
		switch member {
		case "name":
			return graphqlhttp.ReadString(member, value, &name)
		case "arguments":
			of = value.Clone()
			return nil
		default:
			return fault.BadInput(graphqlhttp.Truncate(member), "is no argument of %s: arguments of the operation belong into arguments", runOperation)
		}
	})
	if err == nil && name == "" {
		err = fault.BadInput("name", "is missing")
	}
	if err != nil {
		refused = publicError(err)
	}
	return name, of, refused
}

// searchResult is an operation that a search returns.
type searchResult struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Description string `json:"description"`
	InputSchema any    `json:"inputSchema"`
}

// search returns the tools that have the most words of a query.
func search(all []*tool, arguments jsontext.Value) (*sdk.CallToolResult, *fault.Error) {
	var query string
	if err := members(arguments, func(member string, value jsontext.Value) error {
		if member != "query" {
			return fault.BadInput(graphqlhttp.Truncate(member), "is no argument of %s", searchOperations)
		}
		return graphqlhttp.ReadString(member, value, &query)
	}); err != nil {
		return nil, publicError(err)
	}
	matching := rankTools(all, query)
	operations, size := []searchResult{}, 0
	for _, tool := range matching {
		one := searchResult{tool.Name, string(tool.operation), tool.Description, tool.InputSchema}
		text, err := json.Marshal(one)
		if size += len(text); err != nil || len(operations) == maxFound || size > maxFoundBytes && len(operations) > 0 {
			break
		}
		operations = append(operations, one)
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(map[string]any{"operations": operations, "matching": len(matching)}); err != nil { // its values are texts
		return nil, fault.New(fault.Internal, "internal error")
	}
	return resultOf(bytes.TrimSpace(text.Bytes())), nil
}

// maxWords bounds the words of a query that count.
const maxWords = 16

// rankTools returns the tools that have words of a query, those with the most first; without words all of them.
func rankTools(all []*tool, query string) []*tool {
	words := strings.FieldsFunc(strings.ToLower(query), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' })
	words = words[:min(len(words), maxWords)]
	if len(words) == 0 {
		return all
	}
	scores := make(map[*tool]int, len(all))
	for _, tool := range all {
		for _, word := range words {
			if strings.Contains(tool.text, word) {
				scores[tool]++
			}
			if strings.Contains(strings.ToLower(tool.Name), word) {
				scores[tool]++ // the name tells more than the description
			}
		}
	}
	matching := slices.DeleteFunc(slices.Clone(all), func(t *tool) bool { return scores[t] == 0 })
	slices.SortStableFunc(matching, func(a, b *tool) int { return scores[b] - scores[a] })
	return matching
}
