// Stands in for Prettier where GraphiQL tidies up variables and headers: Prettier would bring its whole JavaScript
// parser and printer for that, and jsonc-parser is in the bundle anyway.
import { applyEdits, format as edits } from 'jsonc-parser';

export const printers = {};
export const parsers = {};

export async function format(content) {
  return applyEdits(content, edits(content, undefined, { tabSize: 2, insertSpaces: true, eol: '\n' }));
}
