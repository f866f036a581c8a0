package consolecache

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"reflect"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
)

// sizeOf estimates the memory that a value and all that it points to take, in bytes.
func sizeOf(v any) int {
	rv := reflect.ValueOf(v)
	if !rv.IsValid() {
		return 0
	}
	return int(rv.Type().Size()) + behind(rv)
}

// behind is what v points to, itself not counted.
func behind(v reflect.Value) int {
	switch v.Kind() {
	case reflect.String:
		return v.Len()
	case reflect.Pointer:
		if v.IsNil() {
			return 0
		}
		return int(v.Type().Elem().Size()) + behind(v.Elem())
	case reflect.Slice:
		n := v.Cap() * int(v.Type().Elem().Size())
		for i := range v.Len() {
			n += behind(v.Index(i))
		}
		return n
	case reflect.Map:
		n := v.Len() * (int(v.Type().Key().Size()+v.Type().Elem().Size()) + 16)
		for it := v.MapRange(); it.Next(); {
			n += behind(it.Key()) + behind(it.Value())
		}
		return n
	case reflect.Struct:
		n := 0
		for i := range v.NumField() {
			n += behind(v.Field(i))
		}
		return n
	default:
		return 0
	}
}

// Form names the form of what is kept, so that gateways of different versions do not
// read each other's answers.
func Form() string {
	h := sha256.New()
	seen := make(map[reflect.Type]bool)
	for _, t := range []reflect.Type{
		reflect.TypeFor[cc.Company](), reflect.TypeFor[cc.DepartmentTree](), reflect.TypeFor[cc.CompanyUser](),
		reflect.TypeFor[cc.Page[cc.Package]](), reflect.TypeFor[cc.Page[cc.Queue]](), reflect.TypeFor[cc.Page[cc.Robot]](),
		reflect.TypeFor[cc.Page[cc.Workflow]](), reflect.TypeFor[cc.Page[cc.WorkflowLayout]](),
	} {
		describe(h, t, seen)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// describe writes a type's fields, and those of the types below it.
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
			_, _ = fmt.Fprintf(w, "%v.%s %v %s\n", t, f.Name, f.Type, f.Tag) // a hash does not fail
			describe(w, f.Type, seen)
		}
	default:
	}
}
