package listenaddress_test

import (
	"net"
	"strings"
	"testing"

	"github.com/consoleql/consoleql/internal/listenaddress"
)

func TestCheck(t *testing.T) {
	for address, valid := range map[string]bool{
		"127.0.0.1:8080": true, ":8080": true, "[::1]:0": true, "localhost:http": true,
		"": false, "8080": false, "127.0.0.1:": false, "127.0.0.1:99999": false, "::1:8080": false, "http://127.0.0.1:8080": false,
	} {
		if err := listenaddress.Check(address); (err == nil) != valid {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestSame(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"127.0.0.1:1", "127.0.0.1:1", true}, {":1", "127.0.0.1:1", true}, {"127.0.0.1:1", "[::]:1", true},
		{"127.0.0.1:1", "127.0.0.1:2", false}, {"127.0.0.1:1", "127.0.0.2:1", false}, {":0", ":0", false},
	} {
		if listenaddress.Same(c.a, c.b) != c.same {
			t.Errorf("%s and %s: %v", c.a, c.b, !c.same)
		}
	}
}

func TestReachable(t *testing.T) {
	for address, want := range map[string]string{
		":80": "127.0.0.1:80", "0.0.0.0:80": "127.0.0.1:80", "[::]:80": "127.0.0.1:80", "10.0.0.1:80": "10.0.0.1:80", "h:80": "h:80", "nothing": "nothing",
	} {
		if got := listenaddress.Reachable(address); got != want {
			t.Errorf("%s: %s", address, got)
		}
	}
}

func TestFree(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	if line := listenaddress.Free(t.Context(), &address); address != "127.0.0.1:0" || !strings.HasPrefix(line, taken.Addr().String()+" is in use") {
		t.Errorf("%s, %q", address, line)
	}
	for _, other := range []string{"127.0.0.1:0", "nothing"} {
		address = other
		if line := listenaddress.Free(t.Context(), &address); line != "" || address != other {
			t.Errorf("%s becomes %s, %q", other, address, line)
		}
	}
}
