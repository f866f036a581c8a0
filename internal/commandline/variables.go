package commandline

import (
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/consoleql/consoleql/internal/gateway"
)

// WriteVariables writes the values of flags as environment variables, with secrets masked. durations has the values in
// force of flags that change a part of a default, by their names.
func WriteVariables(w io.Writer, flags []*kong.Flag, durations map[string]gateway.DurationsByKind) error {
	for _, flag := range flags {
		value := masked(flag.Name, textOf(flag.Target.Interface()))
		if all, ok := durations[flag.Name]; ok {
			value = all.String()
		}
		for _, name := range flag.Envs {
			if _, err := fmt.Fprintf(w, "%s=%s\n", name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// textOf returns a setting's value in the form of an environment variable.
func textOf(value any) string {
	if list, ok := value.([]string); ok {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(value)
}

// masked hides secret values of a setting.
func masked(name, value string) string {
	switch name {
	case "password", "token-keys":
		if value != "" {
			return "(hidden)"
		}
	case "token-issuers", "allowed-origins":
		all := strings.Split(value, ",")
		for i, each := range all {
			if _, err := url.Parse(each); err != nil || strings.ContainsAny(each, "@?#") { // an issuer need not be a URL
				all[i] = maskedURL(each)
			}
		}
		return strings.Join(all, ",")
	}
	if strings.HasSuffix(name, "-url") {
		return maskedURL(value)
	}
	return value
}

// maskedURL hides what may be secret in a URL: the password, or else a user alone, and the query. Of a Redis URL's query,
// only passwords are hidden.
func maskedURL(value string) string {
	u, err := url.Parse(value)
	if err != nil || value != "" && (u.Scheme == "" || u.Host == "" || strings.ContainsAny(u.Path+u.Fragment, "@:") || strings.Contains(u.RawQuery, "@")) {
		return "(hidden)" // a password may be in an unexpected part
	}
	query := u.Query()
	for name := range query {
		if strings.Contains(name, "password") || !strings.HasPrefix(u.Scheme, "redis") {
			query.Set(name, "xxxxx")
		}
	}
	u.RawQuery = query.Encode()
	if _, has := u.User.Password(); u.User != nil && !has {
		u.User = url.User("xxxxx")
	}
	return u.Redacted()
}
