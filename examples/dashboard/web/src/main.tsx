import { StrictMode, useEffect, useRef } from 'react';
import { createRoot } from 'react-dom/client';
import { Provider } from 'urql';
import { client } from './client';
import { Department } from './department';
import { Overview } from './overview';
import { SignOut } from './session';
import { useRoute } from './route';
import './style.css';
import { Workflow } from './workflow';

function App() {
  const route = useRoute();
  const main = useRef<HTMLElement>(null);
  const place = route.screen === 'overview' ? 'overview' : Object.values(route).join('/');
  const first = useRef(true);
  useEffect(() => {
    // Another screen begins at its top, for the keyboard and for screen readers, too.
    if (!first.current) {
      scrollTo(0, 0);
      main.current?.focus();
    }
    first.current = false;
    if (route.screen === 'overview') {
      document.title = 'Robots · ConsoleQL';
    }
  }, [place]);
  return (
    <>
      <a
        className="skip"
        href="#main"
        onClick={event => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        Skip to the content
      </a>
      <header>
        <a className="brand" href="#/">
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <rect width="32" height="32" rx="8" />
            <path d="M7 19v4M13 14v9M19 9v14M25 16v7" />
          </svg>
          ConsoleQL <span>Robots</span>
        </a>
        <nav aria-label="Session and tools">
          <a className="quiet" href="../">
            GraphiQL
          </a>
          <SignOut />
        </nav>
      </header>
      <main ref={main} tabIndex={-1}>
        {route.screen === 'overview' ? <Overview chosen={route.company} /> : null}
        {route.screen === 'department' ? <Department key={place} {...route} /> : null}
        {route.screen === 'workflow' ? <Workflow key={place} {...route} /> : null}
      </main>
    </>
  );
}

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <Provider value={client}>
      <App />
    </Provider>
  </StrictMode>,
);
