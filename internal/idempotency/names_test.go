package idempotency

import "testing"

// Replicas of two versions share records while one takes the other's place: a record by another name, or another digest
// of its input, is a second start. What this expects may change only where both forms are looked up.
func TestRecordsKeepTheirNames(t *testing.T) {
	id := Key{Principal: "principal", Operation: "executeWorkflow", Key: "invoice 4711"}.id()
	if want := "f0845f987853d3ad5bef0a37878989032a5b76034d50dd56bc0448da1607e56d"; id != want {
		t.Errorf("the record is called %s, not %s", id, want)
	}
	if got, want := digest(id, []byte(`{"id":"1"}`)), "7882ed8d7914a236cccc6fa89521a7c7822e57ed678dfab852ba96157a8fc637"; got != want {
		t.Errorf("the input's digest is %s, not %s", got, want)
	}
}
