import { ToolbarButton, useGraphiQL } from '@graphiql/react';
import { useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { identity, mergeHeaders } from './identity.js';

const useIdentity = () => useSyncExternalStore(identity.subscribe, identity.get);

/** Writes session and scope into the headers editor of the tab that is shown. */
export function Headers() {
  const { headers } = useIdentity();
  const { editor, tab } = useGraphiQL(({ headerEditor, activeTabIndex }) => ({ editor: headerEditor, tab: activeTabIndex }));
  useEffect(() => {
    if (editor && Object.keys(headers).length > 0) {
      const merged = mergeHeaders(editor.getValue(), headers);
      if (merged !== editor.getValue()) {
        editor.setValue(merged);
      }
    }
  }, [editor, headers, tab]);
  return null;
}

function Icon(props) {
  return (
    <svg height="1em" viewBox="0 0 16 16" fill="none" stroke="currentColor" strokeWidth="1.3" strokeLinecap="round" strokeLinejoin="round" {...props}>
      <title>session icon</title>
      <circle cx="8" cy="5" r="2.8" />
      <path d="M2.5 14c.6-3 2.8-4.5 5.5-4.5s4.9 1.5 5.5 4.5" />
    </svg>
  );
}

const companiesQuery = '{ companies { id name departments { id name departmentPath visitorHasAnyRole visitorHasPermission } } }';

/** A plug-in for GraphiQL's side bar that puts the session and the scope into the headers. */
export function identityPlugin(ask) {
  return { title: 'Session and scope', icon: Icon, content: () => <Identity ask={ask} /> };
}

function Identity({ ask }) {
  const { token, headers } = useIdentity();
  const editor = useGraphiQL(({ headerEditor }) => headerEditor);
  const [companies, setCompanies] = useState([]);
  const [problem, setProblem] = useState('');
  const inUse = token !== '' && headers.Authorization === `Bearer ${token}`;

  const load = async () => {
    const { data, errors } = await ask({ query: companiesQuery, headers: editor?.getValue() });
    setCompanies(data?.companies ?? []);
    setProblem(data?.companies ? '' : (errors?.[0]?.message ?? 'The gateway does not answer.'));
  };
  const company = companies.find(({ id }) => id === headers.CompanyId);
  return (
    <section aria-label="Session and scope" className="identity">
      <div className="graphiql-doc-explorer-title">Session and scope</div>
      <h3>Session</h3>
      <p>{token === '' ? 'Run the operation SignIn. Then its session can be put into the headers here.' : 'Signed in. The page forgets the session when it is reloaded.'}</p>
      <button type="button" className="graphiql-button" disabled={token === '' || inUse} onClick={() => identity.set({ Authorization: `Bearer ${token}` })}>
        {inUse ? 'The session is in the headers' : 'Put the session into the headers'}
      </button>
      <h3>Scope</h3>
      <p>The company and the department in which operations run.</p>
      <button type="button" className="graphiql-button" onClick={load}>
        Load companies
      </button>
      {problem ? <p role="alert">{problem}</p> : null}
      {companies.length > 0 ? (
        <>
          <label>
            Company
            <select value={company?.id ?? ''} onChange={({ target }) => identity.set({ CompanyId: target.value, DepartmentId: undefined })}>
              <option value="" disabled>
                Choose
              </option>
              {companies.map(({ id, name }) => (
                <option key={id} value={id}>
                  {name}
                </option>
              ))}
            </select>
          </label>
          <label>
            Department
            <select value={headers.DepartmentId ?? ''} disabled={!company} onChange={({ target }) => identity.set({ DepartmentId: target.value })}>
              <option value="" disabled>
                Choose
              </option>
              {company?.departments?.map(({ id, name, departmentPath, ...visitor }) => (
                <option key={id} value={id} disabled={!visitor.visitorHasAnyRole && !visitor.visitorHasPermission}>
                  {departmentPath ?? name}
                </option>
              ))}
            </select>
          </label>
        </>
      ) : null}
    </section>
  );
}

/** A button of GraphiQL's toolbar that shows the console calls of the operation, without running it. */
export function Explain({ ask }) {
  const editors = useGraphiQL(({ queryEditor, variableEditor, headerEditor, responseEditor, operationName, operations }) => ({
    query: queryEditor,
    variables: variableEditor,
    headers: headerEditor,
    response: responseEditor,
    // Right after a change of the text, the name is still the old one.
    operationName: operations?.length > 1 ? operationName : undefined,
  }));
  const explain = async () => {
    const answer = await ask({
      query: editors.query?.getValue() ?? '',
      variables: editors.variables?.getValue(),
      operationName: editors.operationName,
      headers: editors.headers?.getValue(),
      own: { 'X-ConsoleQL-Trace': 'plan' },
    });
    editors.response?.setValue(JSON.stringify(answer, null, 2));
  };
  return (
    <ToolbarButton label="Explain: the console calls that this would make" onClick={explain}>
      <svg className="graphiql-toolbar-icon" viewBox="0 0 16 16" fill="none" stroke="currentColor" strokeWidth="1.3" strokeLinecap="round" aria-hidden="true">
        <circle cx="3.5" cy="3.5" r="1.6" />
        <circle cx="12.5" cy="8" r="1.6" />
        <circle cx="3.5" cy="12.5" r="1.6" />
        <path d="M5 4.3 11 7.3M5 11.7l6-3" />
      </svg>
    </ToolbarButton>
  );
}

/** A dialog that asks for the user and the password of a sign-in. It answers nothing if it is left. */
export function SignInDialog({ register }) {
  const dialog = useRef(null);
  const [asked, setAsked] = useState(null);
  useEffect(() => register(variables => new Promise(answer => setAsked({ variables, answer }))), [register]);
  useEffect(() => {
    if (asked) {
      dialog.current.showModal();
    }
  }, [asked]);
  const end = given => {
    asked?.answer(given);
    setAsked(null);
  };
  return (
    <dialog ref={dialog} className="sign-in" aria-label="Sign in" onClose={() => end(undefined)}>
      {asked ? (
        <form
          onSubmit={event => {
            event.preventDefault();
            const fields = new FormData(event.currentTarget);
            end({ username: fields.get('username'), password: fields.get('password') });
            dialog.current.close();
          }}
        >
          <p>The password goes to the gateway, and is stored nowhere.</p>
          <label>
            User name
            <input name="username" autoComplete="username" defaultValue={asked.variables.username} required />
          </label>
          <label>
            Password
            <input name="password" type="password" autoComplete="current-password" required />
          </label>
          <div>
            <button type="button" className="graphiql-button" onClick={() => dialog.current.close()}>
              Cancel
            </button>
            <button type="submit" className="graphiql-button graphiql-button-success">
              Sign in
            </button>
          </div>
        </form>
      ) : null}
    </dialog>
  );
}
