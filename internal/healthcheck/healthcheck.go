// Package healthcheck asks a gateway whether it serves.
package healthcheck

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"time"

	"github.com/consoleql/consoleql/internal/listenaddress"
)

// timeout bounds the request.
const timeout = 5 * time.Second

// Run fails unless the gateway whose public listener has the address is healthy.
func Run(ctx context.Context, address string, overTLS bool) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	scheme := "http://"
	if overTLS {
		scheme = "https://"
	}
	// The certificate is that of the public name, and the command asks for the address. A proxy does not apply to it.
	config := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // nothing secret is sent or read
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+listenaddress.Reachable(address)+"/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway answers %s", resp.Status)
	}
	return nil
}
