package e2e

func (w *World) ConsoleCalls() (all int) {
	for _, n := range w.Calls() {
		all += n
	}
	return all
}
