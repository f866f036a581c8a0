package consoleclient

import (
	"slices"
	"strings"
)

// arena allocates the strings and nested structs that outlive a response, many per allocation.
type arena struct {
	objects
	bytes strings.Builder
	slots []string
	ints  slab[Int]
	lists slab[[]string]
	maps  slab[StringMember]

	list    []string       // scratch for the list being read
	members []StringMember // scratch for the StringMap being read
}

// Allocation sizes. A retained value keeps its whole allocation alive, so the sizes are small.
const (
	textBytes   = 2 << 10
	textSlots   = 32
	slabObjects = 16
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

// slab allocates structs of one type in chunks.
type slab[T any] struct {
	free []T
	made int // size of the last chunk
}

// take returns a pointer to a zero struct. Chunks grow, so that small responses waste little memory.
func (b *slab[T]) take() *T {
	if len(b.free) == 0 {
		b.made = min(max(1, 2*b.made), slabObjects)
		b.free = make([]T, b.made)
	}
	p := &b.free[0]
	b.free = b.free[1:]
	return p
}

// list returns a copy of of that is never nil.
func (b *slab[T]) list(of []T) []T {
	n := len(of)
	if n == 0 {
		return []T{}
	}
	if n > slabObjects/2 {
		return slices.Clone(of)
	}
	if len(b.free) < n {
		b.made = min(max(n, 2*b.made), slabObjects)
		b.free = make([]T, b.made)
	}
	copied := b.free[:n:n]
	b.free = b.free[n:]
	copy(copied, of)
	return copied
}
