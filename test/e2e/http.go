package e2e

var JSONBody = map[string]string{"Content-Type": "application/json"}

// SendGraphQL sends an HTTP request and decodes the GraphQL answer.
func (w *World) SendGraphQL(method, path, body string, header map[string]string) Answer {
	w.T.Helper()
	resp, text := w.Send(method, path, body, header)
	a := Decode[Answer](w.T, text)
	a.Status, a.Body = resp.StatusCode, text
	return a
}
