package cachedconsole

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"reflect"
)

// sizeOf returns a function that estimates the memory of a T and of everything that it points to, in bytes. It inspects
// the type once and then visits only fields that can hold pointers.
func sizeOf[T any]() func(T) int {
	t := reflect.TypeFor[T]()
	measure := make(sizers).of(t)
	return func(v T) int {
		n := int(t.Size())
		if measure.referenced != nil {
			n += measure.referenced(reflect.ValueOf(&v).Elem())
		}
		return n
	}
}

// sizer measures what values of one type point to, without the values themselves.
type sizer struct {
	referenced func(reflect.Value) int // nil: the type holds no pointers
}

// sizers holds the sizer of each type, since types may be recursive.
type sizers map[reflect.Type]*sizer

func (s sizers) of(t reflect.Type) *sizer {
	if known, ok := s[t]; ok {
		return known
	}
	made := &sizer{}
	s[t] = made
	switch t.Kind() {
	case reflect.String:
		made.referenced = reflect.Value.Len
	case reflect.Pointer:
		elem, size := s.of(t.Elem()), int(t.Elem().Size())
		made.referenced = func(v reflect.Value) int {
			if v.IsNil() {
				return 0
			}
			return size + elem.measure(v.Elem())
		}
	case reflect.Slice:
		made.referenced = s.ofSlice(t)
	case reflect.Map:
		key, elem, size := s.of(t.Key()), s.of(t.Elem()), int(t.Key().Size()+t.Elem().Size())+16
		made.referenced = func(v reflect.Value) int {
			n := v.Len() * size
			for it := v.MapRange(); it.Next(); {
				n += key.measure(it.Key()) + elem.measure(it.Value())
			}
			return n
		}
	case reflect.Struct:
		made.referenced = s.ofStruct(t)
	default:
	}
	return made
}

func (s sizers) ofSlice(t reflect.Type) func(reflect.Value) int {
	elem, size := s.of(t.Elem()), int(t.Elem().Size())
	return func(v reflect.Value) int {
		n := v.Cap() * size
		if elem.referenced != nil {
			for i := range v.Len() {
				n += elem.referenced(v.Index(i))
			}
		}
		return n
	}
}

func (s sizers) ofStruct(t reflect.Type) func(reflect.Value) int {
	type field struct {
		at int
		*sizer
	}
	var fields []field
	for i := range t.NumField() {
		// A type that is still being built contains itself, which is only possible through a pointer.
		if f := s.of(t.Field(i).Type); f.referenced != nil {
			fields = append(fields, field{i, f})
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return func(v reflect.Value) int {
		n := 0
		for _, f := range fields {
			n += f.referenced(v.Field(f.at))
		}
		return n
	}
}

func (s *sizer) measure(v reflect.Value) int {
	if s.referenced == nil {
		return 0
	}
	return s.referenced(v)
}

// Form returns a fingerprint of the cached types. Gateways of different versions do not read each other's entries.
func Form() string {
	h := sha256.New()
	seen := make(map[reflect.Type]bool)
	for _, r := range newKinds().rows() {
		_, t := r.describe()
		describe(h, t, seen)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// describe writes a type's fields, and those of the types that it refers to.
func describe(w io.Writer, t reflect.Type, seen map[reflect.Type]bool) {
	if seen[t] {
		return
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		describe(w, t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			_, _ = fmt.Fprintf(w, "%v.%s %v %s\n", t, f.Name, f.Type, f.Tag) // a hash never fails
			describe(w, f.Type, seen)
		}
	default:
	}
}
