// Where Monaco's workers are: the build writes their content-hashed names into the page, from this origin only.
const files = JSON.parse(document.getElementById('workers').textContent);

globalThis.MonacoEnvironment = {
  getWorker(_id, label) {
    return new Worker(files[label] ?? files.editor, { type: 'module', name: label });
  },
};
