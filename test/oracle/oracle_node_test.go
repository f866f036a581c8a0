package oracle

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// nodeID returns the opaque id of an object, which clients cannot construct.
func nodeID(typ string, of consoleObject) string {
	raw := []byte{1}
	department := of.in.department
	if typ == "Company" {
		department = ""
	}
	for _, id := range []string{of.in.company, department, of.text("id")} {
		guid, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
		if err != nil || len(guid) == 0 {
			guid = make([]byte, 16)
		}
		raw = append(raw, guid...)
	}
	return base64.RawURLEncoding.EncodeToString(append(raw, typ...))
}
