package e2e

import (
	"encoding/json"
)

// CheckOneNull fails the test unless field is the only null of the answer and has its only
// error.
func (w *World) CheckOneNull(a Answer, field string) {
	w.T.Helper()
	if e := w.OnlyError(a); e.FieldPath() != field || e.Extensions.Code != "UPSTREAM_UNAVAILABLE" {
		w.T.Errorf("the error is %+v", e)
	}
	w.CheckNulls(a.Data, field)
}

func (w *World) CheckNulls(object json.RawMessage, field string) {
	w.T.Helper()
	fields := Decode[map[string]json.RawMessage](w.T, object)
	if _, ok := fields[field]; !ok {
		w.T.Errorf("%s is missing in %s", field, object)
	}
	for name, v := range fields {
		if (string(v) == "null") != (name == field) {
			w.T.Errorf("%s is %.100s", name, v)
		}
	}
}
