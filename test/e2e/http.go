package e2e

import (
	"encoding/json"
	"io"
	"net/http"
)

var JSONBody = map[string]string{"Content-Type": "application/json"}

// Do sends a request and decodes the answer.
func (w *World) Do(req *http.Request) (Answer, error) {
	resp, err := w.Client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	a := Answer{Status: resp.StatusCode}
	if a.Body, err = io.ReadAll(resp.Body); err != nil {
		return a, err
	}
	return a, json.Unmarshal(a.Body, &a)
}
