//go:build !go1.27

package transport

// repeatsResets reports whether net/http sends a request again after an HTTP/2 reset with PROTOCOL_ERROR (go.dev/issue/47635),
// although the server may have processed it. Go 1.26 does so, and does not tell such a reset from REFUSED_STREAM or GOAWAY.
// A request that was written is therefore not sent again after those, either.
const repeatsResets = true
