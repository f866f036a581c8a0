package consoleclient

import (
	"net/http"
	"testing"
)

func TestChallengesBearer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lines []string
		want  bool
	}{
		"none":                              {nil, false},
		"empty":                             {[]string{""}, false},
		"the scheme alone":                  {[]string{"Bearer"}, true},
		"in lower case":                     {[]string{"bearer"}, true},
		"in upper case":                     {[]string{"BEARER error=x"}, true},
		"with parameters":                   {[]string{`Bearer error="invalid_token", error_description="The token expired at 12, 1"`}, true},
		"token68":                           {[]string{"Bearer mF_9.B5f-4.1JqM=="}, true},
		"after a tab":                       {[]string{"Bearer\trealm=a"}, true},
		"another scheme":                    {[]string{`Basic realm="a"`}, false},
		"a longer scheme":                   {[]string{"BearerX realm=a"}, false},
		"second in a line":                  {[]string{`Basic realm="a", charset="UTF-8", Bearer error="invalid_token"`}, true},
		"second in a line without a space":  {[]string{`Negotiate,Bearer`}, true},
		"second after token68":              {[]string{"Negotiate abc==, Bearer"}, true},
		"in the second line":                {[]string{"Negotiate", "Bearer realm=a"}, true},
		"empty elements":                    {[]string{", ,Bearer , "}, true},
		"in a quoted string":                {[]string{`Basic realm="a, Bearer b"`}, false},
		"alone in a quoted string":          {[]string{`Basic realm="a, Bearer, b"`}, false},
		"behind an escaped quote":           {[]string{`Basic realm="a\", Bearer b"`}, false},
		"behind an escaped backslash":       {[]string{`Basic realm="a\\", Bearer b`}, true},
		"in a quoted string without an end": {[]string{`Basic realm="a, Bearer b`}, false},
		"after a quoted comma":              {[]string{`Basic realm="a, b", Bearer`}, true},
		"as a parameter":                    {[]string{`Digest nonce=x, Bearer=y`}, false},
		"as a parameter, with spaces":       {[]string{`Digest nonce=x, Bearer = "y"`}, false},
		"as a value":                        {[]string{`Digest scheme=Bearer`}, false},
		"as token68":                        {[]string{`Negotiate Bearer`}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := challengesBearer(http.Header{"Www-Authenticate": c.lines}); got != c.want {
				t.Errorf("got %t for %q", got, c.lines)
			}
		})
	}
}
