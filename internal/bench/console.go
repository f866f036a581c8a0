package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// console is a simulated console in a process, with its data.
type console struct {
	process        *process
	api, sso       string
	user, password string
	company, dept  string
	tokens         []string // each is a separate principal, since the gateway does not verify tokens here
	mutation       string   // body of a mutation that sets a workflow's present values
	answers        map[string][]byte
	reads          map[string]map[string]float64 // console calls of an uncached query, by operation and kind
	write          float64                       // console calls of the mutation
	answerHeader   http.Header
}

// startConsole starts a simulator with the given latency. The returned console must be stopped
// even after an error.
func startConsole(ctx context.Context, binary string, latency time.Duration) (*console, error) {
	p, err := start(ctx, nil, binary, "simulate", "--no-irregular", "--api-listen", "127.0.0.1:0", "--sso-listen", "127.0.0.1:0",
		"--storage-listen", "127.0.0.1:0", "--latency", latency.String(), "--log-level", "warn")
	if err != nil {
		return nil, err
	}
	c := &console{process: p, answers: map[string][]byte{}, reads: map[string]map[string]float64{}}
	found, err := p.await(ctx, regexp.MustCompile(`(?s)(\S+) is the API gateway\n(\S+) is the SSO\n.*user (\S+), password (\S+), CompanyId (\S+), DepartmentId (\S+)\n`))
	if err != nil {
		p.stop()
		return nil, err
	}
	c.api, c.sso, c.user, c.password, c.company, c.dept = found[1], found[2], found[3], found[4], found[5], found[6]
	return c, nil
}

// grant requests n access tokens from the SSO.
func (c *console) grant(ctx context.Context, n int) error {
	form := url.Values{
		"client_id": {"thirdpartyservice"}, "grant_type": {"password"},
		"username": {c.user}, "password": {c.password}, "scope": {"apigateway offline_access openid profile"},
	}.Encode()
	for range n {
		body, _, err := post(ctx, c.sso+"/connect/token", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, form)
		if err != nil {
			return fmt.Errorf("token: %w", err)
		}
		var granted struct {
			Token string `json:"access_token"`
		}
		if err := json.Unmarshal(body, &granted); err != nil || granted.Token == "" {
			return errors.New("token: the SSO granted none")
		}
		c.tokens = append(c.tokens, granted.Token)
	}
	return nil
}

// header returns the header of every request, without its token.
func (c *console) header() map[string]string {
	return map[string]string{"Content-Type": "application/json", "CompanyId": c.company, "DepartmentId": c.dept}
}

// ask sends a request to a gateway as the first principal. It returns an error if the answer
// has errors.
func (c *console) ask(ctx context.Context, g *gateway, body string) ([]byte, http.Header, error) {
	header := c.header()
	header["Authorization"] = "Bearer " + c.tokens[0]
	answer, h, err := post(ctx, g.url, header, body)
	if err != nil {
		return nil, nil, err
	}
	if bytes.Contains(answer, []byte(`"errors"`)) {
		return nil, nil, fmt.Errorf("the gateway answers %.500s", answer)
	}
	return answer, h, nil
}

// requestBody returns the body of a GraphQL request.
func requestBody(query string, variables map[string]any) (string, error) {
	b, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	return string(b), err
}

func post(ctx context.Context, to string, header map[string]string, body string) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("status %d: %.500s", resp.StatusCode, answer)
	}
	return answer, resp.Header, nil
}
