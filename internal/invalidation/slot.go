package invalidation

import "slices"

// Slot is the place of a tag in the Log. Colliding tags are invalidated together: that costs
// an extra load, and never a stale read.
type Slot uint16

// SlotCount is the number of slots, the same on every replica.
const SlotCount = 1 << 16

// SlotOf returns the slot of a tag, the same on every replica: FNV-1a, folded.
func SlotOf(tag string) Slot {
	h := uint64(14695981039346656037)
	for i := range len(tag) {
		h = (h ^ uint64(tag[i])) * 1099511628211
	}
	return Slot((h ^ h>>16 ^ h>>32 ^ h>>48) & (SlotCount - 1))
}

// SlotsOf returns the slots of tags, sorted and without duplicates.
func SlotsOf(tags ...string) []Slot {
	slots := make([]Slot, len(tags))
	for i, tag := range tags {
		slots[i] = SlotOf(tag)
	}
	slices.Sort(slots)
	return slices.Compact(slots)
}
