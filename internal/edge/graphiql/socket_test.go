package graphiql_test

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// The part of the WebSocket protocol (RFC 6455) that one short subscription needs: texts below
// 64 KiB without fragments.
const (
	socketGUID  = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	opcodeText  = 0x1
	opcodeClose = 0x8
	final       = 0x80
)

// message is a message of graphql-transport-ws.
type message struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// socket answers a subscription with one event, and records the payload of connection_init.
func (g *gateway) socket(w http.ResponseWriter, r *http.Request) {
	connection, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "want a WebSocket", http.StatusBadRequest)
		return
	}
	defer func() { _ = connection.Close() }()
	accept := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + socketGUID))
	_, _ = fmt.Fprintf(connection, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n", base64.StdEncoding.EncodeToString(accept[:]))

	for {
		text, err := readFrame(buffered.Reader)
		if err != nil {
			return
		}
		var got message
		if err := json.Unmarshal(text, &got); err != nil {
			return
		}
		switch got.Type {
		case "connection_init":
			g.mu.Lock()
			g.payloads = append(g.payloads, string(got.Payload))
			g.mu.Unlock()
			writeFrame(connection, message{Type: "connection_ack"})
		case "subscribe":
			writeFrame(connection, message{ID: got.ID, Type: "next", Payload: json.RawMessage(`{"data":{"workflowChanged":{"state":"SUCCEEDED"}}}`)})
			writeFrame(connection, message{ID: got.ID, Type: "complete"})
		}
	}
}

func readFrame(r *bufio.Reader) ([]byte, error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	if head[0] == final|opcodeClose {
		return nil, io.EOF
	}
	length := int(head[1] & 0x7f)
	if length == 126 {
		extended := make([]byte, 2)
		if _, err := io.ReadFull(r, extended); err != nil {
			return nil, err
		}
		length = int(binary.BigEndian.Uint16(extended))
	}
	if head[0] != final|opcodeText || head[1]&0x80 == 0 || length == 127 {
		return nil, errors.New("want one short masked text")
	}
	frame := make([]byte, 4+length)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, err
	}
	mask, text := frame[:4], frame[4:]
	for i := range text {
		text[i] ^= mask[i%4]
	}
	return text, nil
}

func writeFrame(w io.Writer, m message) {
	text, _ := json.Marshal(m)
	// All messages are shorter than 126 bytes, whose length has seven bits.
	_, _ = w.Write(append([]byte{final | opcodeText, byte(len(text))}, text...))
}
