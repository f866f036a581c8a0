package consoleclient

import (
	"encoding/base64"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"

	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

// NodeID names an entity in its company and department. Clients see it as opaque text, which is not secret and gives no
// right.
type NodeID struct {
	// Type is the type of the schema.
	Type  string
	Scope scope.Scope
	ID    string
}

// guidBytes is the length of a GUID in bytes, and nodeIDVersion the first byte of each NodeID.
const (
	guidBytes     = 16
	nodeIDVersion = 1
)

// String returns the text. It is empty if one of the ids is no GUID.
func (n NodeID) String() string {
	raw := append(make([]byte, 0, 1+3*guidBytes+len(n.Type)), nodeIDVersion)
	for _, id := range []string{n.Scope.CompanyID, n.Scope.DepartmentID, n.ID} {
		var guid uuid.UUID
		if id != "" {
			var err error
			if guid, err = uuid.Parse(id); err != nil {
				return ""
			}
		}
		raw = append(raw, guid[:]...)
	}
	return base64.RawURLEncoding.EncodeToString(append(raw, n.Type...))
}

// ParseNodeID parses the text of a NodeID, whose type may be unknown. It fails with fault.BadUserInput.
func ParseNodeID(text string) (NodeID, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) <= 1+3*guidBytes || raw[0] != nodeIDVersion {
		return NodeID{}, fault.BadInput("", "is not a nodeId")
	}
	var ids [3]string
	for i := range ids {
		var guid uuid.UUID
		copy(guid[:], raw[1+i*guidBytes:])
		if guid != uuid.Nil {
			ids[i] = guid.String()
		}
	}
	return NodeID{Type: string(raw[1+3*guidBytes:]), Scope: scope.Scope{CompanyID: ids[0], DepartmentID: ids[1]}, ID: ids[2]}, nil
}

// UnmarshalNodeID reads the argument `nodeId`.
func UnmarshalNodeID(v any) (string, error) {
	text, err := graphql.UnmarshalString(v)
	if err == nil {
		_, err = ParseNodeID(text)
	}
	if err != nil {
		return "", fault.BadInput("", "%w", err)
	}
	return text, nil
}

// UnmarshalNodeIDs reads the argument `nodeIds`.
func UnmarshalNodeIDs(v any) ([]string, error) {
	given := graphql.CoerceList(v)
	ids := make([]string, len(given))
	for i := range given {
		var err error
		if ids[i], err = UnmarshalNodeID(given[i]); err != nil {
			return nil, err
		}
	}
	return ids, nil
}
