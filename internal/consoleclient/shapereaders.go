package consoleclient

import (
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// readerOf says how a field of type t is read.
func readerOf(t reflect.Type) reader {
	switch t {
	case reflect.TypeFor[string]():
		return readString
	case reflect.TypeFor[*string]():
		return readStringPointer
	case reflect.TypeFor[bool]():
		return readBool
	case reflect.TypeFor[Int]():
		return readInt
	case reflect.TypeFor[DateTime]():
		return readDateTime
	case reflect.TypeFor[[]string]():
		return readTexts
	case reflect.TypeFor[StringMap]():
		return readStringMap
	case reflect.TypeFor[*Int](), reflect.TypeFor[*[]string]():
		return pointer(readerOf(t.Elem()))
	}
	if e := enumTable(t); e != nil {
		return readEnum(e)
	}
	switch {
	case t.Kind() == reflect.Pointer && enumTable(t.Elem()) != nil:
		return pointer(readEnum(enumTable(t.Elem())))
	case t.Kind() == reflect.Pointer && hasShape(t.Elem()):
		return readObject(t.Elem())
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Pointer && hasShape(t.Elem().Elem()):
		return readObjects(t.Elem().Elem())
	}
	return readOther
}

// readOther leaves a value to json.
func readOther(s *scanner, v reflect.Value) error {
	raw, err := s.raw()
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, v.Addr().Interface(), decoding)
}

func readString(s *scanner, v reflect.Value) error {
	text, kind, err := s.text()
	if kind == kindNull {
		text = ""
	}
	v.SetString(text)
	return err
}

func readStringPointer(s *scanner, v reflect.Value) error {
	text, kind, err := s.text()
	if err == nil && kind != kindNull {
		v.Set(reflect.ValueOf(s.texts.pointer(text)))
	} else {
		v.SetZero()
	}
	return err
}

func readBool(s *scanner, v reflect.Value) error {
	text, _, err := s.plain()
	v.SetBool(isTrue(string(text)))
	return err
}

func readInt(s *scanner, v reflect.Value) error {
	text, _, err := s.plain()
	v.SetInt(int64(toInt(text)))
	return err
}

// toInt is what Int makes of a text.
func toInt(text []byte) Int {
	const digits = 9 // always fit
	n := Int(0)
	for i, c := range text {
		if c < '0' || c > '9' || i == digits {
			other, _ := parseInt(string(text))
			return saturate(other)
		}
		n = 10*n + Int(c-'0')
	}
	return n
}

func readDateTime(s *scanner, v reflect.Value) error {
	text, kind, err := s.text()
	at := DateTime("")
	if kind == kindString {
		at, _ = ParseDateTime(text) // as with UnmarshalJSONFrom
	}
	v.SetString(string(at))
	return err
}

func readTexts(s *scanner, v reflect.Value) error {
	p := v.Addr().Interface().(*[]string) //nolint:forcetypeassert // readerOf has looked
	*p = nil
	if s.peek() != '[' {
		text, kind, err := s.text()
		if err == nil && kind != kindNull {
			*p = []string{text}
		}
		return err
	}
	s.texts.list = s.texts.list[:0]
	for first := true; ; first = false {
		more, err := s.next('[', ']', first)
		if err != nil || !more {
			*p = s.texts.keepList(s.texts.list)
			return err
		}
		text, kind, err := s.text()
		if err != nil {
			return err
		}
		if kind != kindNull {
			s.texts.list = append(s.texts.list, text)
		}
	}
}

func readStringMap(s *scanner, v reflect.Value) error {
	p := v.Addr().Interface().(*StringMap) //nolint:forcetypeassert // readerOf has looked
	*p = nil
	if s.peek() != '{' {
		_, err := s.raw()
		return err
	}
	out := StringMap{}
	for first := true; ; first = false {
		more, err := s.next('{', '}', first)
		if err != nil || !more {
			*p = out
			return err
		}
		name, err := s.name()
		if err != nil {
			return err
		}
		value, kind, err := s.text()
		if err != nil {
			return err
		}
		if kind != kindNull {
			out[s.texts.keep(unquoted(name))] = value
		}
	}
}

// enumTable gives the table of an enum's type, nil for other types.
func enumTable(t reflect.Type) *enum {
	switch t {
	case reflect.TypeFor[CompanyEdition]():
		return companyEditions
	case reflect.TypeFor[ArgumentDirection]():
		return argumentDirections
	case reflect.TypeFor[LicenseStatus]():
		return licenseStatuses
	case reflect.TypeFor[RobotStatus]():
		return robotStatuses
	case reflect.TypeFor[UserStatus]():
		return userStatuses
	case reflect.TypeFor[ResourceType]():
		return resourceTypes
	case reflect.TypeFor[VideoRecordMode]():
		return videoRecordModes
	case reflect.TypeFor[TriggerPolicy]():
		return triggerPolicies
	case reflect.TypeFor[JobState]():
		return jobStates
	case reflect.TypeFor[JobStartupType]():
		return jobStartupTypes
	}
	return nil
}

func readEnum(e *enum) reader {
	return func(s *scanner, v reflect.Value) error {
		text, kind, err := s.plain()
		v.SetUint(uint64(e.value(text, kind)))
		return err
	}
}

// pointer reads null as nil, and everything else with read.
func pointer(read reader) reader {
	return func(s *scanner, v reflect.Value) error {
		if s.peek() == 'n' {
			v.SetZero()
			_, err := s.raw()
			return err
		}
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		return read(s, v.Elem())
	}
}

// readObject reads an object, and null as nil. What else there is, is an empty object of the types that forgive it.
func readObject(t reflect.Type) reader {
	forgiving := isForgivingObject(t)
	return pointer(func(s *scanner, v reflect.Value) error {
		if s.peek() != '{' && forgiving {
			_, err := s.raw()
			return err
		}
		return shapeOf(t).read(s, v)
	})
}

// readObjects reads a list of objects. What is no object, or no list, is left out of those that forgive it; elsewhere it
// is an error, except for null.
func readObjects(t reflect.Type) reader {
	forgiving := isForgivingList(t)
	return func(s *scanner, v reflect.Value) error {
		v.SetZero()
		if c := s.peek(); c != '[' {
			if c != 'n' && c != 0 && !forgiving {
				return errMistyped
			}
			_, err := s.raw()
			return err
		}
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		sh := shapeOf(t)
		n := 0
		for first := true; ; first = false {
			more, err := s.next('[', ']', first)
			if err != nil || !more {
				return err
			}
			c := s.peek()
			if c != '{' && forgiving || c == 'n' {
				if _, err := s.raw(); err != nil {
					return err
				}
				if forgiving {
					continue
				}
			}
			if n == v.Cap() {
				v.Grow(max(n, 4))
			}
			n++
			v.SetLen(n)
			if c == 'n' {
				continue
			}
			e := reflect.New(t)
			v.Index(n - 1).Set(e)
			if err := sh.read(s, e.Elem()); err != nil {
				return err
			}
		}
	}
}

// isForgivingList says for which elements decoding has a decodeObjects.
func isForgivingList(t reflect.Type) bool {
	switch t {
	case reflect.TypeFor[Department](), reflect.TypeFor[PackageVersion](), reflect.TypeFor[Argument](),
		reflect.TypeFor[WorkflowLayoutNode](), reflect.TypeFor[WorkflowUpgradeItem]():
		return true
	}
	return false
}

// isForgivingObject says of which types decoding has a decodeObject.
func isForgivingObject(t reflect.Type) bool {
	switch t {
	case reflect.TypeFor[JobStateNotification](), reflect.TypeFor[AssetContent](), reflect.TypeFor[UserExtensionInfo]():
		return true
	}
	return false
}

// isTrue says what is true: "true" in any case, and 1.
func isTrue(text string) bool { return text == "1" || strings.EqualFold(text, "true") }

// value gives the value that a name or integer stands for; whatever else there is, is the unknown one.
func (e *enum) value(text []byte, kind jsontext.Kind) uint8 {
	if kind != kindString && kind != kindNumber {
		return 0
	}
	if known, ok := e.exact[string(text)]; ok {
		return known
	}
	s := string(text)
	if known, ok := e.byName[strings.ToLower(strings.TrimSpace(s))]; ok {
		return known
	}
	if n, ok := parseInt(s); ok && n >= 0 && int(n) < len(e.names)-1 {
		return uint8(n + 1) //nolint:gosec // less than the number of names
	}
	return 0
}
