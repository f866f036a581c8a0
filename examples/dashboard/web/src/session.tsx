import { useState, type FormEvent } from 'react';
import { useMutation } from 'urql';
import { operation, setToken, useSession } from './client';
import { graphql } from './gql';
import { errorsOf } from './states';

const signIn = operation(
  graphql(`
    mutation SignIn($input: SignInInput!) {
      signIn(input: $input) {
        sessionToken
      }
    }
  `),
);

/** Asks for the console's user and password. The password is sent once and not stored. */
export function SignIn({ done }: { done: () => void }) {
  const [{ fetching, error }, send] = useMutation(signIn);
  const [tried, setTried] = useState(false);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const fields = new FormData(form);
    setTried(true);
    setToken('');
    const { data } = await send({ input: { username: String(fields.get('username')), password: String(fields.get('password')) } });
    if (data?.signIn) {
      form.reset();
      setToken(data.signIn.sessionToken);
      done();
    }
  };
  return (
    <form className="card sign-in" onSubmit={submit}>
      <h2>Sign in</h2>
      <p className="muted">With your user of the console. Reloading the page ends the session here.</p>
      <label>
        User name
        <input name="username" autoComplete="username" required autoFocus />
      </label>
      <label>
        Password
        <input name="password" type="password" autoComplete="current-password" required />
      </label>
      {tried && error && !fetching ? (
        <p className="notice failed" role="alert">
          {errorsOf(error)[0]?.message ?? 'The gateway does not answer.'}
        </p>
      ) : null}
      <button type="submit" className="primary" disabled={fetching}>
        {fetching ? 'Signing in…' : 'Sign in'}
      </button>
    </form>
  );
}

const signOut = operation(
  graphql(`
    mutation SignOut {
      signOut {
        ok
      }
    }
  `),
);

/** Ends the session at the gateway. What the page shows ends with it. */
export function SignOut() {
  const running = useSession();
  const [, send] = useMutation(signOut);
  return running ? (
    <button type="button" className="quiet" onClick={() => void send({}).then(() => location.reload())}>
      Sign out
    </button>
  ) : null;
}
