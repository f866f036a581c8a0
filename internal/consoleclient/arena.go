package consoleclient

import (
	"slices"
	"strings"

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

	list    []string       // scratch for the list being read
	members []StringMember // scratch for the StringMap being read
}

// Allocation sizes. A retained value keeps its whole allocation alive, so the sizes are small.
const (
	textBytes = 2 << 10
	textSlots = 32
)

// copyString copies b into a string.
func (k *arena) copyString(b []byte) string {
	if len(b) > textBytes/8 {
		return string(b)
	}
	if k.bytes.Cap()-k.bytes.Len() < len(b) {
		k.bytes.Reset() // strings returned earlier keep the old allocation
		k.bytes.Grow(textBytes)
	}
	start := k.bytes.Len()
	k.bytes.Write(b)
	return k.bytes.String()[start:]
}

// pointer returns a pointer to a copy of s.
func (k *arena) pointer(s string) *string {
	if len(k.slots) == 0 {
		k.slots = make([]string, textSlots)
	}
	p := &k.slots[0]
	*p = s
	k.slots = k.slots[1:]
	return p
}

// copyStrings returns a copy of list that is never nil.
func (k *arena) copyStrings(list []string) []string {
	n := len(list)
	if n > textSlots/4 {
		return slices.Clone(list)
	}
	if len(k.slots) <= n {
		k.slots = make([]string, textSlots)
	}
	copied := k.slots[:n:n]
	k.slots = k.slots[n:]
	copy(copied, list)
	return copied
}

// memberName copies the name of the next member. It reuses the name at the same position of the previous StringMap if
// equal, because elements of a list usually have the same names.
func (k *arena) memberName(name []byte) string {
	if last := k.members[:cap(k.members)]; len(last) > len(k.members) {
		if before := last[len(k.members)].Name; before == string(name) {
			return before
		}
	}
	return k.copyString(name)
}
