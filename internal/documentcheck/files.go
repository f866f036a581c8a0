package documentcheck

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
)

// filePaths finds the places of files in the variables of an operation.
type filePaths struct {
	schema *ast.Schema
	paths  []string // below the variables
}

// nullFiles returns variables in which each place of a file is null, and the paths of these places. It makes the
// objects that lead to a file that has to be there. A text that is not a JSON object is returned unchanged.
func nullFiles(s *ast.Schema, op *ast.OperationDefinition, text json.RawMessage) (json.RawMessage, []string, error) {
	var example any
	if len(text) > 0 {
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		if err := dec.Decode(&example); err != nil {
			return nil, nil, fmt.Errorf("the variables of %s: %w", op.Name, err)
		}
	}
	given, ok := example.(map[string]any)
	if !ok && example != nil {
		return text, nil, nil
	}
	p := &filePaths{schema: s}
	filled := maps.Clone(given)
	if filled == nil {
		filled = make(map[string]any)
	}
	for _, v := range op.VariableDefinitions {
		value, has := given[v.Variable]
		p.member(filled, v.Variable, v.Type, v.Variable, value, has)
	}
	if len(p.paths) == 0 {
		return text, nil, nil
	}
	text, err := json.Marshal(filled)
	if err != nil {
		return nil, nil, fmt.Errorf("the variables of %s: %w", op.Name, err)
	}
	return text, p.paths, nil
}

// member sets a member of an object to its value with files, unless the member may be and is missing.
func (p *filePaths) member(of map[string]any, name string, typ *ast.Type, path string, value any, has bool) {
	if !has && !typ.NonNull {
		return
	}
	before := len(p.paths)
	value = p.at(typ, path, value)
	if len(p.paths) > before {
		of[name] = value
	}
}

// at returns a value with null at each place of a file.
func (p *filePaths) at(typ *ast.Type, path string, value any) any {
	def := p.schema.Types[typ.Name()]
	switch {
	case typ.Elem != nil:
		list, _ := value.([]any)
		for i := range list {
			list[i] = p.at(typ.Elem, path+"."+strconv.Itoa(i), list[i])
		}
		return value
	case typ.NamedType == "Upload":
		p.paths = append(p.paths, path)
		return nil
	case def.Kind != ast.InputObject:
		return value
	}
	given, ok := value.(map[string]any)
	if !ok && (value != nil || !typ.NonNull) {
		return value
	}
	before := len(p.paths)
	filled := maps.Clone(given)
	if filled == nil {
		filled = make(map[string]any)
	}
	for _, field := range def.Fields {
		member, has := given[field.Name]
		p.member(filled, field.Name, field.Type, path+"."+field.Name, member, has)
	}
	if len(p.paths) == before {
		return value
	}
	return filled
}
