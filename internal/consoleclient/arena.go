package consoleclient

import (
	"slices"
	"strings"

	"github.com/consoleql/consoleql/internal/scope"
	"github.com/consoleql/consoleql/internal/slab"
)

// arena allocates the strings and nested structs that outlive a response, many per allocation.
type arena struct {
	objects
	bytes strings.Builder
	slots []string
	ints  slab.Allocator[Int]
	lists slab.Allocator[[]string]
	maps  slab.Allocator[StringMember]

	interned [internSlots]*string // GUIDs of the response, each at its internSlot
	list     []string             // scratch for the list being read
	members  []StringMember       // scratch for the StringMap being read
}

// Allocation sizes. A retained value keeps its whole allocation alive, so the sizes are small.
const (
	textBytes   = 2 << 10
	textSlots   = 32
	internSlots = 32
)

// guidLength is the length of a canonical GUID in bytes.
const guidLength = len(scope.NoID)

// copyString copies b into a string.
func (a *arena) copyString(b []byte) string {
	if len(b) > textBytes/8 {
		return string(b)
	}
	if a.bytes.Cap()-a.bytes.Len() < len(b) {
		a.bytes.Reset() // strings returned earlier keep the old allocation
		a.bytes.Grow(textBytes)
	}
	start := a.bytes.Len()
	a.bytes.Write(b)
	return a.bytes.String()[start:]
}

// pointer returns a pointer to a copy of s.
func (a *arena) pointer(s string) *string {
	if len(a.slots) == 0 {
		a.slots = make([]string, textSlots)
	}
	p := &a.slots[0]
	*p = s
	a.slots = a.slots[1:]
	return p
}

// internSlot returns where the arena has a GUID that the response repeats. Other GUIDs may have the same slot.
func (a *arena) internSlot(guid []byte) **string {
	return &a.interned[(guid[0]^guid[7]<<1^guid[guidLength-1]<<2)%internSlots]
}

// copyStrings returns a copy of list that is never nil.
func (a *arena) copyStrings(list []string) []string {
	n := len(list)
	if n > textSlots/4 {
		return slices.Clone(list)
	}
	if len(a.slots) <= n {
		a.slots = make([]string, textSlots)
	}
	copied := a.slots[:n:n]
	a.slots = a.slots[n:]
	copy(copied, list)
	return copied
}

// memberName copies the name of the next member. It reuses the name at the same position of the previous StringMap if
// equal, because elements of a list usually have the same names.
func (a *arena) memberName(name []byte) string {
	if last := a.members[:cap(a.members)]; len(last) > len(a.members) {
		if before := last[len(a.members)].Name; before == string(name) {
			return before
		}
	}
	return a.copyString(name)
}
