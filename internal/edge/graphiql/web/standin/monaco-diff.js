// Stands in for Monaco's diff editors, which no page of ours opens: classes for its API file to name and extend.
export class DiffEditorWidget {}
export class MultiDiffEditorWidget {}
