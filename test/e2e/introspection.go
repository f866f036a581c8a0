package e2e

import (
	"slices"
	"strings"
)

// schemaType and the following types are the schema in introspection form.
type (
	schemaType struct {
		Kind, Name, Description string
		Fields                  []schemaField
		InputFields             []SchemaValue
		EnumValues              []struct{ Name, Description string }
	}
	schemaField struct {
		Name, Description string
		Args              []SchemaValue
		Type              typeRef
	}
	SchemaValue struct {
		Name, Description string
		DefaultValue      *string
		Type              typeRef
	}
	typeRef struct {
		Kind   string
		Name   *string
		OfType *typeRef
	}
)

// name returns the named type within lists and non-nulls.
func (r *typeRef) name() string {
	for r.OfType != nil {
		r = r.OfType
	}
	return *r.Name
}

// String returns the type in the schema definition language.
func (r *typeRef) String() string {
	switch r.Kind {
	case "NON_NULL":
		return r.OfType.String() + "!"
	case "LIST":
		return "[" + r.OfType.String() + "]"
	default:
		return *r.Name
	}
}

const introspection = `{ __schema { types { kind name description
	fields(includeDeprecated: true) { name description args { ...V } type { ...T } }
	inputFields { ...V } enumValues(includeDeprecated: true) { name description }
} } }
fragment V on __InputValue { name description defaultValue type { ...T } }
fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }`

// Schema returns the gateway's types by name, without those of introspection.
func (w *World) Schema() map[string]schemaType {
	w.T.Helper()
	var got struct {
		Schema struct{ Types []schemaType } `json:"__schema"`
	}
	w.Query(introspection, &got)
	all := make(map[string]schemaType)
	for _, s := range got.Schema.Types {
		if !strings.HasPrefix(s.Name, "__") {
			all[s.Name] = s
		}
	}
	return all
}

// Selection selects all plain fields of a type, and its relations to the given depth. It omits
// fields with required arguments.
func Selection(schema map[string]schemaType, typ string, depth int) string {
	var b strings.Builder
	b.WriteString("{ __typename")
	for _, f := range schema[typ].Fields {
		if slices.ContainsFunc(f.Args, func(a SchemaValue) bool { return a.Type.Kind == "NON_NULL" && a.DefaultValue == nil }) {
			continue
		}
		if strings.HasSuffix(typ, "Counts") && slices.Contains([]string{"asOf", "byStatus", "silent"}, f.Name) {
			continue // they depend on the time
		}
		to := schema[f.Type.name()]
		switch {
		case to.Kind != "OBJECT":
			b.WriteString(" " + f.Name)
		case isData(to.Name) || typ == "WorkflowLayout" && f.Name == "nodes":
			b.WriteString(" " + f.Name + " " + Selection(schema, to.Name, depth))
		case depth > 0 && strings.HasSuffix(to.Name, "Connection"):
			entity := strings.TrimSuffix(to.Name, "Connection")
			of := Selection(schema, entity, depth-1)
			b.WriteString(" " + f.Name + "(first: 7) { totalCount pageInfo " + Selection(schema, "PageInfo", 0) + " nodes " + of + " edges { cursor node { id } } }")
		case depth > 0:
			b.WriteString(" " + f.Name + " " + Selection(schema, to.Name, depth-1))
		}
	}
	b.WriteString(" }")
	return b.String()
}

// isData reports whether a type is plain data and not an entity.
func isData(typ string) bool {
	switch typ {
	case "Argument", "AssetContent", "UserExtensionInfo", "JobStateNotification", "PageInfo":
		return true
	default:
		return false
	}
}
