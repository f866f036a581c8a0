package e2e

// WantOutcome fails the test unless the answer's only error has the code and the outcome.
func (w *World) WantOutcome(a Answer, code, outcome string) {
	w.T.Helper()
	e := w.OnlyError(a)
	if e.Extensions.Code != code || e.Extensions.Outcome != outcome {
		w.T.Errorf("%s, %s instead of %s, %s: %s", e.Extensions.Code, e.Extensions.Outcome, code, outcome, a.Body)
	}
}
