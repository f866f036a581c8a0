package idempotency

import "testing"

// TestRecordNamesAreStable verifies names and digests of records. Replicas of two versions
// share records during an upgrade, so that a changed name would start a call twice. The
// expected values may change only if both forms are looked up.
func TestRecordNamesAreStable(t *testing.T) {
	id := Key{Principal: "principal", Operation: "executeWorkflow", Key: "invoice 4711"}.id()
	if want := "f0845f987853d3ad5bef0a37878989032a5b76034d50dd56bc0448da1607e56d"; id != want {
		t.Errorf("the record is called %s, not %s", id, want)
	}
	if got, want := digest(id, []byte(`{"id":"1"}`)), "7882ed8d7914a236cccc6fa89521a7c7822e57ed678dfab852ba96157a8fc637"; got != want {
		t.Errorf("the input's digest is %s, not %s", got, want)
	}
}
