package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/consoleql/consoleql/internal/edge/querylimit"
)

// frame returns the head of a client's frame with a mask of zeros, and a payload.
func frame(first byte, length uint64, payload string) string {
	head := binary.BigEndian.AppendUint64([]byte{first, 0x80 | 127}, length)
	return string(head) + "\x00\x00\x00\x00" + payload
}

// tapped is a client's connection on which a test writes frames of its own.
type tapped struct{ conn net.Conn }

func (c *tapped) dial(dial dialer) dialer {
	return func(ctx context.Context, network, addr string) (_ net.Conn, err error) {
		c.conn, err = dial(ctx, network, addr)
		return c.conn, err
	}
}

// TestLongMessagesAreRefusedAtTheirHead verifies that the server awaits no byte of a message that would exceed the
// limit. A client that sends it reads the close frame.
func TestLongMessagesAreRefusedAtTheirHead(t *testing.T) {
	const (
		text, begins, continues, ping = 0x81, 0x01, 0x00, 0x89
		limit                         = 1 << 10
	)
	half := strings.Repeat("x", limit/2)
	for name, tt := range map[string]struct {
		sends string
		code  websocket.StatusCode
	}{
		"1 TiB":                        {frame(text, 1<<40, ""), websocket.StatusMessageTooBig},
		"more than an int64":           {frame(text, 1<<63, ""), websocket.StatusMessageTooBig},
		"one byte more":                {frame(text, limit+1, ""), websocket.StatusMessageTooBig},
		"and the message":              {frame(text, 2*limit, half+half+half+half), websocket.StatusMessageTooBig},
		"a continuation":               {frame(begins, limit/2, half) + frame(ping, 0, "") + frame(continues, limit/2+1, ""), websocket.StatusMessageTooBig},
		"as many bytes as taken":       {frame(text, limit, half+half), statusBadRequest},
		"as many, in several frames":   {frame(begins, limit/2, half) + frame(ping, 1, "a") + frame(continues+0x80, limit/2, half), statusBadRequest},
		"short ones before a long one": {frame(text, 15, `{"type":"ping"}`) + frame(text, 15, `{"type":"pong"}`) + frame(text, limit+1, ""), websocket.StatusMessageTooBig},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var tap tapped
				conn := openSocketBy(t, nil, Options{Limits: querylimit.Limits{BodyBytes: limit}}, tap.dial)
				begun := time.Now()
				go func() {
					if _, err := io.WriteString(tap.conn, tt.sends); err != nil && !errors.Is(err, io.ErrClosedPipe) {
						t.Error(err)
					}
				}()
				var err error
				for err == nil {
					_, _, err = conn.Read(t.Context())
				}
				if code := websocket.CloseStatus(err); code != tt.code || time.Since(begun) > 0 {
					t.Errorf("closed with %v after %v", err, time.Since(begun))
				}
			})
		})
	}
}
