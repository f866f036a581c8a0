package e2e

// WantOutcome fails the test where the one error of an answer has another code or outcome.
func (w *World) WantOutcome(a Answer, code, outcome string) {
	w.T.Helper()
	e := w.OnlyError(a)
	if e.Extensions.Code != code || e.Extensions.Outcome != outcome {
		w.T.Errorf("%s, %s instead of %s, %s: %s", e.Extensions.Code, e.Extensions.Outcome, code, outcome, a.Body)
	}
}
