import { UnStyledButton, useGraphiQL, useGraphiQLActions } from '@graphiql/react';

function Icon(props) {
  return (
    <svg height="1em" viewBox="0 0 16 16" fill="none" stroke="currentColor" strokeWidth="1.3" strokeLinecap="round" strokeLinejoin="round" {...props}>
      <title>examples icon</title>
      <path d="M5.5 3.5h8M5.5 8h8M5.5 12.5h8M2 3.5h.5M2 8h.5M2 12.5h.5" />
    </svg>
  );
}

function Examples({ examples }) {
  const { addTab, changeTab } = useGraphiQLActions();
  const { tabs, queryEditor, variableEditor } = useGraphiQL(state => ({
    tabs: state.tabs,
    queryEditor: state.queryEditor,
    variableEditor: state.variableEditor,
  }));

  const open = ({ query, variables }) => {
    const index = tabs.findIndex(tab => tab.query === query);
    if (index >= 0) {
      changeTab(index);
      return;
    }
    addTab();
    queryEditor?.setValue(query);
    variableEditor?.setValue(variables);
  };

  return (
    <section aria-label="Examples">
      <div className="graphiql-doc-explorer-title">Examples</div>
      <ul className="examples-list">
        {examples.map((example, index) => (
          <li key={index}>
            <UnStyledButton type="button" onClick={() => open(example)}>
              {example.title || `Example ${index + 1}`}
            </UnStyledButton>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** A plug-in for GraphiQL's side bar that brings an example back after its tab was closed or changed. */
export function examplesPlugin(examples) {
  return { title: 'Examples', icon: Icon, content: () => <Examples examples={examples} /> };
}
