//go:build go1.27

package transport

// repeatsResets is false because net/http only sends again what an HTTP/2 server did not process. The constant may go when
// go.mod requires Go 1.27.
const repeatsResets = false
