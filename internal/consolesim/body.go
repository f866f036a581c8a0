package consolesim

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// opt is a member of a JSON body that may be absent, null or a value.
type opt[T any] struct {
	set, null bool
	v         T
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *opt[T]) UnmarshalJSON(b []byte) error {
	o.set = true
	if bytes.Equal(b, []byte("null")) {
		o.null = true
		return nil
	}
	return json.Unmarshal(b, &o.v)
}

// given reports whether the member has a value.
func (o *opt[T]) given() bool { return o.set && !o.null }

// text is a JSON string, number or boolean, as text. Enums and conditions come as names or as
// integers.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		return json.Unmarshal(b, (*string)(t))
	}
	if b[0] == '{' || b[0] == '[' {
		return &json.UnmarshalTypeError{Value: "object", Offset: 0}
	}
	if !bytes.Equal(b, []byte("null")) {
		*t = text(b)
	}
	return nil
}

// decode decodes the body, whose keys are case-insensitive.
func (c *call) decode(into any) error {
	if err := json.Unmarshal(c.body, into); err != nil {
		return badRequest("The JSON body cannot be read: %v", err)
	}
	return nil
}

// enumOf finds the name for a name (in any case) or a position.
func enumOf(field string, table []string, t text) (string, error) {
	if n, err := strconv.Atoi(string(t)); err == nil {
		if n >= 0 && n < len(table) {
			return table[n], nil
		}
	} else if i := slices.IndexFunc(table, func(s string) bool { return strings.EqualFold(s, string(t)) }); i >= 0 {
		return table[i], nil
	}
	return "", badRequest("The value '%s' is not valid for %s.", clip(string(t)), field)
}

// enumField sets *dst if the member has a value.
func enumField(field string, o opt[text], table []string, dst *string) error {
	if !o.given() {
		return nil
	}
	name, err := enumOf(field, table, o.v)
	if err != nil {
		return err
	}
	*dst = name
	return nil
}

// upTo sets *dst if the member has a value, which must be between 0 and the document's bound.
func upTo(field string, o opt[int64], high int64, dst *int64) error {
	if !o.given() {
		return nil
	}
	if o.v < 0 || o.v > high {
		return badRequest("%s must be between 0 and %d.", field, high)
	}
	*dst = o.v
	return nil
}

// guidField returns the member's GUID in lower case, "" if there is none.
func guidField(field string, o opt[string]) (string, error) {
	if !o.given() || o.v == "" {
		return "", nil
	}
	if !isGUID(o.v) {
		return "", badRequest("%s is not a valid GUID.", field)
	}
	return strings.ToLower(o.v), nil
}

// guidList checks and lower-cases ids, dropping repetitions.
func guidList(field string, ids []string) ([]string, error) {
	out := make([]string, 0, len(ids))
	for _, id := range ids {
		if !isGUID(id) {
			return nil, badRequest("'%s' in %s is not a valid GUID.", clip(id), field)
		}
		if id = strings.ToLower(id); !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out, nil
}

// nameField returns a name, which must not be empty if it is present.
func nameField(o opt[string], dst *string) error {
	if !o.set {
		return nil
	}
	if strings.TrimSpace(o.v) == "" {
		return badRequest("Name is required.")
	}
	*dst = o.v
	return nil
}

// assign sets *dst if the member is present; null sets the zero value.
func assign[T any](o opt[T], dst *T) {
	if o.set {
		*dst = o.v
	}
}

// argumentBody is an Argument as it is sent.
type argumentBody struct {
	Name         string
	Type         string
	Direction    opt[text]
	DefaultValue opt[text]
	AssetContent *AssetContent
}

func arguments(in []argumentBody) ([]Argument, error) {
	out := make([]Argument, 0, len(in))
	for _, a := range in {
		if a.Name == "" {
			return nil, badRequest("Arguments: Name is required.")
		}
		arg := Argument{Name: a.Name, Type: a.Type, Direction: "In", DefaultValue: string(a.DefaultValue.v), Asset: a.AssetContent}
		if err := enumField("Direction", a.Direction, argumentDirections, &arg.Direction); err != nil {
			return nil, err
		}
		out = append(out, arg)
	}
	return out, nil
}

// arguments writes a list of arguments.
func (e *encoder) arguments(args []Argument) {
	e.beginListAt("arguments")
	for _, a := range args {
		e.begin()
		e.str("name", a.Name)
		e.str("type", a.Type)
		e.enum("direction", argumentDirections, a.Direction)
		e.opt("defaultValue", a.DefaultValue)
		if a.Asset == nil {
			e.null("assetContent")
		} else {
			e.beginAt("assetContent")
			e.str("name", a.Asset.Name)
			e.str("description", a.Asset.Description)
			e.bool("isRequiredEncryption", a.Asset.IsRequiredEncryption)
			e.end()
		}
		e.end()
	}
	e.endList()
}

// notificationBody is a JobStateNotification as it is sent.
type notificationBody struct {
	SwitchOn                         bool
	JustNoticeAgainstLastRuninstance bool
	Conditions                       []text
	Recipients                       []string
}

func (n notificationBody) value() *JobStateNotification {
	out := &JobStateNotification{SwitchOn: n.SwitchOn, JustLast: n.JustNoticeAgainstLastRuninstance, Recipients: n.Recipients}
	for _, c := range n.Conditions {
		out.Conditions = append(out.Conditions, conditionName(string(c)))
	}
	return out
}

// conditionName converts a captured integer to its name, so that all dialects print the same
// condition.
func conditionName(s string) string {
	for name, n := range conditionNumbers {
		if strconv.FormatInt(n, 10) == s {
			return name
		}
	}
	return s
}
