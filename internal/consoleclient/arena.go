package consoleclient

import (
	"slices"
	"strings"
)

// arena is what is kept of an answer: its texts and the structs that lie in others, many to an allocation each.
type arena struct {
	objects
	bytes strings.Builder
	slots []string
	ints  slab[Int]
	lists slab[[]string]
	maps  slab[StringMember]

	list    []string       // for the list that is being read
	members []StringMember // for the StringMap that is being read
}

// A text or a struct that outlives the rest of its answer keeps this much of it: few enough not to matter.
const (
	textBytes   = 2 << 10
	textSlots   = 32
	slabObjects = 16
)

// text copies a text.
func (k *arena) text(b []byte) string {
	if len(b) > textBytes/8 {
		return string(b)
	}
	if k.bytes.Cap()-k.bytes.Len() < len(b) {
		k.bytes.Reset() // leaves what it held to the texts that were made of it
		k.bytes.Grow(textBytes)
	}
	start := k.bytes.Len()
	k.bytes.Write(b)
	return k.bytes.String()[start:]
}

// pointer gives a text an address.
func (k *arena) pointer(s string) *string {
	if len(k.slots) == 0 {
		k.slots = make([]string, textSlots)
	}
	p := &k.slots[0]
	*p = s
	k.slots = k.slots[1:]
	return p
}

// texts copies a list of texts; it is not nil.
func (k *arena) texts(list []string) []string {
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

// memberName copies the name of the next member, unless the last StringMap had it in the same place: elements of a list
// mostly have the same names.
func (k *arena) memberName(name []byte) string {
	if last := k.members[:cap(k.members)]; len(last) > len(k.members) {
		if before := last[len(k.members)].Name; before == string(name) {
			return before
		}
	}
	return k.text(name)
}

// slab gives structs of one type addresses.
type slab[T any] struct {
	free []T
	made int // how many there were in the last piece
}

// take gives an empty struct. Pieces grow, so that an answer that needs few has few that nobody needs.
func (b *slab[T]) take() *T {
	if len(b.free) == 0 {
		b.made = min(max(1, 2*b.made), slabObjects)
		b.free = make([]T, b.made)
	}
	p := &b.free[0]
	b.free = b.free[1:]
	return p
}

// list copies a list; it is not nil.
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
