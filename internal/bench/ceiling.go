package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// ServeCeiling serves the contents of a file with a bare net/http handler, which shows the
// minimum cost of an answer. It prints its address to w.
func ServeCeiling(ctx context.Context, file string, w io.Writer) error {
	b, err := os.ReadFile(file) //nolint:gosec // the file on the command line
	if err != nil {
		return fmt.Errorf("ceiling: %w", err)
	}
	var answer ceilingAnswer
	if err := json.Unmarshal(b, &answer); err != nil {
		return fmt.Errorf("ceiling: %w", err)
	}
	answer.Header.Del("Date") // net/http's own
	answer.Header.Set("Content-Length", strconv.Itoa(len(answer.Body)))
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("ceiling: %w", err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the client may have left
		maps.Copy(w.Header(), answer.Header)
		_, _ = w.Write(answer.Body)
	})}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	fmt.Fprintf(w, "http://%s is the ceiling\n", l.Addr())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("ceiling: %w", err)
	}
	return nil
}
