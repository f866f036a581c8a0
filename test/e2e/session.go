package e2e

import (
	"time"

	"github.com/consoleql/consoleql/internal/consolesim"
)

const SignInMutation = `mutation($u: String!, $p: String!) { signIn(input: {username: $u, password: $p}) { sessionToken expiresAt viewer { userName company { id } assignedDepartment { id } } } }`

type SignInAnswer struct {
	SignIn struct {
		SessionToken string
		ExpiresAt    time.Time
		Viewer       *struct {
			UserName           string
			Company            struct{ ID string }
			AssignedDepartment struct{ ID string }
		}
	}
}

func SignInVariables(u consolesim.User) map[string]any {
	return map[string]any{"u": u.Username, "p": u.Password}
}

// SignIn starts a session of the user and returns headers with its token. It tries again while the gateway says that it
// cannot keep sessions at the moment, as on a busy machine with a slow Redis.
func (w *World) SignIn(u consolesim.User) map[string]string {
	w.T.Helper()
	var a Answer
	Await(w.T, "a sign-in", func() bool {
		a = w.Ask(SignInMutation, Request{Variables: SignInVariables(u), Header: ScopeHeader(u.CompanyIDs[0], "")})
		return len(a.Errors) == 0 || a.Errors[0].Extensions.Outcome != "NOT_SENT"
	})
	if len(a.Errors) > 0 {
		w.T.Fatalf("%s cannot sign in: %s", u.Username, a.Body)
	}
	return Bearer(Decode[SignInAnswer](w.T, a.Data).SignIn.SessionToken)
}

func Bearer(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

// TokenKeys is the setting that replicas need to share tokens.
const TokenKeys = "CONSOLEQL_TOKEN_KEYS=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
