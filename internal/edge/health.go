package edge

import (
	"context"
	"encoding/json"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// State is the state of the gateway or of a component that it needs.
type State string

// The states.
const (
	OK       State = "ok"
	Degraded State = "degraded" // some answers fail or are stale
	Failed   State = "failed"   // requests should go to another replica
)

// Readiness is the state of the gateway and of its components.
type Readiness struct {
	Status   State `json:"status"` // of the whole
	Console  State `json:"console"`
	SSO      State `json:"sso"`
	Redis    State `json:"redis"`
	Accounts State `json:"accounts"` // of the service accounts
	// Causes tells why components are not ok. Only the admin listener shows it.
	Causes map[string]string `json:"causes,omitempty"`
}

// readyTimeout bounds the time to find the state.
const readyTimeout = 2 * time.Second

// ReadyHandler answers with the state that ready returns: 503 if it is Failed, otherwise 200. A client that accepts JSON
// gets all of it, and the causes if they are to be shown. Others get "ready" or "not ready".
func ReadyHandler(ready func(context.Context) Readiness, causes bool, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		state := ready(ctx)
		status, text := http.StatusOK, "ready"
		if state.Status == Failed {
			log.InfoContext(ctx, "not ready", "causes", state.Causes)
			status, text = http.StatusServiceUnavailable, "not ready"
		}
		w.Header().Add("Vary", "Accept")
		if !wantsJSON(r.Header.Values("Accept")) {
			writeStatus(w, status, text)
			return
		}
		if !causes {
			state.Causes = nil
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(state) // the client may have closed the connection
	})
}

// wantsJSON reports whether lines of the header Accept name JSON, with a weight that is not 0.
func wantsJSON(accept []string) bool {
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		name, parameters, err := mime.ParseMediaType(part)
		if err != nil || name != "application/json" {
			continue
		}
		if q, err := strconv.ParseFloat(parameters["q"], 64); err != nil || q > 0 {
			return true
		}
	}
	return false
}

// healthy answers 200 while the process serves.
func healthy(w http.ResponseWriter, _ *http.Request) { writeStatus(w, http.StatusOK, "ok") }

// ready reports to load balancers whether the gateway accepts requests.
func (s *server) ready() http.HandlerFunc {
	if s.opts.Ready == nil {
		return func(w http.ResponseWriter, _ *http.Request) { writeStatus(w, http.StatusOK, "ready") }
	}
	return ReadyHandler(s.opts.Ready, false, s.opts.Logger).ServeHTTP
}

func writeStatus(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // the client may have closed the connection
}

// closeWhileStopping tells clients to open a new connection for their next request, which a load balancer sends elsewhere.
func (s *server) closeWhileStopping(next http.Handler) http.Handler {
	if s.opts.Stopping == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.opts.Stopping() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
