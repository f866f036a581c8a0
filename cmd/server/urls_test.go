package main

import (
	"bytes"
	"context"
	"net"
	"slices"
	"strings"
	"testing"
)

// TestURLsHideSecrets verifies that no command shows what may be secret in any setting that holds URLs.
func TestURLsHideSecrets(t *testing.T) {
	program, err := newProgram()
	if err != nil {
		t.Fatal(err)
	}
	var settings []string
	for _, f := range flagsOfServe(t, program.parser.Model()) {
		if strings.HasSuffix(f.Name, "-url") || f.Name == "token-issuers" || f.Name == "allowed-origins" {
			settings = append(settings, f.Name)
		}
	}
	if len(settings) < 7 {
		t.Fatalf("only %v hold URLs", settings)
	}
	for _, name := range settings {
		p, err := newProgram()
		if err != nil {
			t.Fatal(err)
		}
		for _, address := range []string{
			"http://u:CANARY pw@127.0.0.1:1", "https://u:CANARY@127.0.0.1:1/", "https://CANARY@127.0.0.1:1", "https://127.0.0.1:1/?token=CANARY",
			"https://127.0.0.1:1/#CANARY@", "http://127.0.0.1:CANARY", "rediss://u:CANARY@127.0.0.1:1/0", "redis://CANARY@127.0.0.1:1/0", "http://a.example,https://u:CANARY@h/",
		} {
			if name == "allowed-origins" && strings.HasSuffix(address, ":CANARY") {
				continue // an origin has a port, and no secret
			}
			for _, command := range [][]string{{"config"}, {"config", "--check"}, {"serve"}} {
				var out, log bytes.Buffer
				ctx, cancel := context.WithCancel(t.Context())
				if command[0] == "serve" {
					cancel()
				}
				args := append(slices.Clone(command), "--listen=127.0.0.1:0", "--admin-listen=", "--verify-tokens=on")
				for _, other := range []string{"console-url", "sso-url"} {
					if other != name {
						args = append(args, "--"+other+"=http://127.0.0.1:1")
					}
				}
				p.run(ctx, append(args, "--"+name+"="+address), stdio{out: &out, log: &log})
				cancel()
				if strings.Contains(out.String()+log.String(), "CANARY") {
					t.Errorf("%v with --%s=%s shows it:\n%s%s", command, name, address, &out, &log)
				}
			}
		}
	}
}

// TestDemoPortsInUse verifies that the demo takes other ports, and says so.
func TestDemoPortsInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	admin, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	demo := start(t, "admin listening", "demo", "--listen="+taken.Addr().String(), "--admin-listen="+admin.Addr().String())
	if url := demo.demoURL(t); strings.HasSuffix(url, taken.Addr().String()) {
		t.Errorf("the demo is at %s", url)
	}
	for _, address := range []string{taken.Addr().String(), admin.Addr().String()} {
		if !strings.Contains(demo.out.String(), address+" is in use, and another port is taken") {
			t.Errorf("it does not say so:\n%s", demo.out)
		}
	}
}
