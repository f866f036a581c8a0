// Writes table.json: what graphql-js says of literals, documents and variables. It also writes builtin.graphql: the types
// and directives of each schema, by the last release without drafts for directives. `make graphqljs` runs it.
import { readFileSync, writeFileSync } from 'node:fs';
import { buildSchema, parse, typeFromAST, validate, version } from 'graphql';
import { buildSchema as buildSchema2021, printIntrospectionSchema } from 'graphql-2021';
import { getArgumentValues, getVariableValues } from 'graphql/execution/values.js';

const here = (name) => new URL(name, import.meta.url);
const schema = buildSchema(readFileSync(here('schema.graphql'), 'utf8'));
const fields = schema.getQueryType().getFields();

// Numbers that JSON has no form for are written as texts; an object without a prototype as a plain one.
const plain = (_, v) => (typeof v === 'number' && !Number.isFinite(v) ? String(v) : v);

const verdict = (document, variables, name) => {
  try {
    const ast = parse(document);
    if (validate(schema, ast).length > 0) return { valid: false };
    const operation = name ? ast.definitions.find((d) => d.name.value === name) : ast.definitions[0];
    const { coerced, errors } = getVariableValues(schema, operation.variableDefinitions ?? [], variables === undefined ? {} : JSON.parse(variables));
    if (errors) return { valid: false };
    let node = operation.selectionSet.selections[0];
    if (node.kind === 'FragmentSpread') node = ast.definitions.find((d) => d.kind === 'FragmentDefinition' && d.name.value === node.name.value).selectionSet.selections[0];
    const args = getArgumentValues(fields[node.name.value], node, coerced);
    return 'v' in args ? { valid: true, value: JSON.parse(JSON.stringify(args.v, plain)) } : { valid: true };
  } catch {
    return { valid: false };
  }
};

const rows = [];
const add = (kind, type, text, document, variables, operation) => rows.push({ kind, type, text, document, ...(variables === undefined ? {} : { variables }), ...(operation && { operation }), ...verdict(document, variables, operation) });

const typeOf = (field) => String(fields[field].args[0].type);

// Literals of every form at every type.
const numbers = ['0', '1', '-1', '-0', '2147483647', '2147483648', '-2147483648', '-2147483649', '9007199254740993', '9223372036854775807', '9223372036854775808', '99999999999999999999',
  '1.0', '2.5', '-0.0', '1e0', '1e3', '1E+2', '1e-2', '1e308', '-1e-400', '2.0e1', '1.50'];
const hugeLiterals = ['1e400', '-1e400'];
const badNumbers = ['01', '-01', '00', '1.', '.5', '1.e1', '1e', '1e+', '+1', '--1', '-', '1a', '1_000', '0x1F', '0xg', '1.5a', '1e5x', '1.2.3', '1..2', '1...', '0b1', '1$', 'NaN', 'Infinity'];
const others = ['null', 'true', 'false', 'TRUE', 'RED', 'red', 'BLUE', '"RED"', '"1"', '"true"', '""', '"a"', '$', '[]', '[1]', '[1, 2]', '[1 2]', '[null]', '[[1], 2]', '[[1], null]', '["a"]', '["a", 1]',
  '[RED]', '[RED, "GREEN"]', '{}', '{required: 1}', '{required: null}', '{required: "1"}', '{required: 1.0}', '{required: 1, other: 2}', '{required: 1, required: 2}', '{required: 1, int: null, default: null}',
  '{required: 1, default: 9, nullableDefault: null}', '{required: 1, id: 5, float: 3, boolean: true, colour: RED, ints: 4, string: "s"}', '{required: 1, id: 5.0}', '{required: 1, ints: [1, null]}',
  '{required: 1, colour: "RED"}', '{required: 1, in: {required: 2, in: {}}}', '{required: 1, in: {required: 2}}', '{required: 2147483648}', '{required: 1, __typename: "In"}', '{"required": 1}',
  '[{required: 1}, {required: 2}]', '[{required: 1}, null]', '[{}]', '1 # a comment', '# a comment\n 1', ',,1,,', '\uFEFF1', '1\uFEFF', '"""a"""', '"RED" # c', 'R\u0045D'];
for (const field of Object.keys(fields)) {
  for (const text of [...numbers, ...hugeLiterals, ...badNumbers, ...others]) add('literal', typeOf(field), text, `{ ${field}(v: ${text}) }`);
  add('literal', typeOf(field), '', `{ ${field} }`);
}

// The lexical grammar of texts. They are printed in the table with the escapes of JSON.
const q = '"""';
const texts = ['"\\u00e9"', '"\\u0041"', '"\\n\\r\\t\\b\\f\\/\\\\\\""', '"\\a"', '"\\x41"', '"\\\'"', '"\\0"', '"\\u12"', '"\\u123g"', '"\\uD83D\\uDE00"', '"\\ud83d\\ude00x"', '"\\uD800"', '"\\uDC00"', '"a\\uD83D"', '"\\uD83Dx"',
  '"\\uD83D\\uD83D\\uDE00"', '"\\uDE00\\uD83D"', '"\\uD83D\\n"', '"\\uD83D\\u0041"', '"\\uD83D\\u{DE00}"', '"\\uDBFF\\uDFFF"', '"\\u{1F600}"', '"\\u{1f600}a"', '"\\u{41}"', '"\\u{000041}"', '"\\u{00000041}"', '"\\u{000000041}"',
  '"\\u{}"', '"\\u{110000}"', '"\\u{D800}"', '"\\u{DFFF}"', '"\\u{10FFFF}"', '"\\u{x}"', '"\\u{41"', '"\\u 0041"', '"\\U0041"', '"\\\\uD800"', '"\\\\\\uD800"', '"😀"', '"ä😀\u2028"', '"a\tb"', '"a\u0007b"', '"a" # \u0007\n', '"a\nb"', '"a\rb"', '"', '"a', '"a\\"', '"\\', '"\uFEFF"', '"a,b#c"', "'a'",
  '"a" "b"', '"\u007f"', '"\\u0000"', '"\\uFFFF"', '"{}"', '"$v"',
  `${q}${q}`, `${q}a${q}`, `${q} a ${q}`, `${q}\n  a\n    b\n  c\n${q}`, `${q}a\n  b\n  c${q}`, `${q}  a\n  b${q}`, `${q}a\n    b\n  c\n${q}`, `${q}a\n  b\n\n  \n c${q}`, `${q}   a\n b${q}`, `${q}\ta\n\tb${q}`,
  `${q}\n\ta\n  b${q}`, `${q}a\n${q}`, `${q}a\n  ${q}`, `${q}\n\n  a\n\n\n  b\n\n${q}`, `${q}a\r\n  b\r  c${q}`, `${q}a\r\n\r\n  b${q}`, `${q}a\\nb${q}`, `${q}a\\u0041${q}`, `${q}a\\uD800${q}`, `${q}a\\${q}b${q}`, `${q}\\${q}${q}`,
  `${q}a"b${q}`, `${q}a""b${q}`, `${q}"a${q}`, `${q}""a${q}`, `${q}a" ${q}`, `${q}a"${q}`, `${q}a""${q}`, `${q}a"""b${q}`, `${q}a\\${q}`, `${q}a\\\\${q}`, `${q}a`, `${q}a"`, `${q}ä\n  😀\n  b${q}`, `${q}a\n  b # c${q}`, `${q}\n${q}`,
  `${q}  ${q}`, `${q} \n \t\n ${q}`, `${q}\u00a0a\n\u00a0b${q}`, `${q}a\n  \u3000b${q}`, `${q}\uFEFF a\n  b${q}`, `# ä 😀 "\n ${q}a\n    b${q}`, `"ä😀\\u{1F600}\\uD83D\\uDE00" # "\n`, `${q}a\n\tb\n  c${q}`, `${q}a\n  b\n   c\n d${q}`,
  `${q}a\n  b${q} # ${q}`, `${q}${q}${q}`, `${q}"${q}`, `${q}a${q}""`, `${q}a""""""`, `${q}\\"${q}`, `${q}\\""${q}`];
for (const text of texts) {
  add('text', 'String', text, `{ string(v: ${text}) }`);
  add('text', 'String', text, `{ string(v:${text}\n) }`);
}
for (const list of [`[${q}a\n  b${q}, "c", ${q}\n  d\n    e${q}]`, `["a",,"b"]`, `["a""b"]`, `["a" ${q}b${q}]`, `[,]`, `["a" # ]\n]`]) add('text', '[String!]', list, `{ strings(v: ${list}) }`);
const documents = ['{ string(v: "a") }', '\uFEFF{ string(v: "a") }', '{\uFEFFstring(v: "a")}', '{,string,(,v:,"a",),}', '# c\n{ string(v: "a") # c\r}', '{ string(v: "a") } # c', 'query{string(v:"a")}', 'query Q{string(v:"a")}', '{ string(v: "a") }}', '{ string(v: "a" }',
  '{ string(v "a") }', '{ string(v: "a",) }', '{ string() }', '{ string(v: "a", v: "b") }', '{ string(w: "a") }', '{ string(v: "a") ?', '{ string(v: "a") } ;', '{ stríng }', '{ string (v : "a") }', "{ string(v: 'a') }", '{ int(v:1)string }', '{ int(v:1.)}', '', ' ', '# c', '{}', 'query', '{ a: string(v: "a") }', '{ string(v: "a")\u00a0}', '{ string(v: "a")\u2028}', '{ string @include(if: true) }', '{ string @include(if: "true") }', '{ string @include(if: 1) }', '{ string @skip }'];
for (const text of documents) add('document', '', text, text);

// Variables of every form at every type, and their defaults.
const values = [...numbers, 'null', 'true', 'false', '"RED"', '"red"', '"BLUE"', '""', '"1"', '"1.0"', '"a"', '"true"', '[]', '[1]', '[1, 2]', '[1, 2.0]', '[null]', '[1, null]', '[[1], 2]', '[[1, 2], null, 3]', '["a"]', '["a", null]', '["RED"]', '["RED", "red"]',
  '[1, "2"]', '{}', '{"required": 1}', '{"required": 1.0, "int": 2e0, "ints": [3.0, 4e0]}', '{"required": 1.5}', '{"required": null}', '{"required": "1"}', '{"required": 1, "other": 2}', '{"required": 1, "int": null, "string": null, "nullableDefault": null}', '{"required": 1, "default": null}',
  '{"required": 1, "default": 9}', '{"required": 1, "id": 5, "float": 3, "boolean": true, "colour": "RED", "ints": 4, "string": "s"}', '{"required": 1, "id": 5.5}', '{"required": 1, "id": 5.0}', '{"required": 1, "boolean": 1}', '{"required": 1, "boolean": "true"}', '{"required": 1, "colour": "red"}',
  '{"required": 1, "string": 1}', '{"required": 1, "string": true}', '{"required": 1, "ints": [1, null]}', '{"required": 1, "in": {"required": 2.0}}', '{"required": 1, "in": {}}', '{"required": 1, "in": null}', '{"required": 1, "in": [{"required": 2}]}', '{"required": 2147483648}',
  '{"required": 1, "__typename": "In"}', '{"REQUIRED": 1}', '[{"required": 1}, {"required": 2.0}]', '[{"required": 1}, null]', '[{}]', '"\\ud83d\\ude00"', '"a\\u0000b"', '1e400', '-1e400', '1e21', '123456789012345678901234', '2147483647.0', '2147483647.5', '1.0000000000000000001', '1E3', '10e-1', '15e-1', '0.0', '-0.0', '0e5'];
for (const field of Object.keys(fields)) {
  const type = typeOf(field);
  const document = `query($v: ${type}) { ${field}(v: $v) }`;
  for (const text of values) add('variable', type, text, document, `{"v":${text}}`);
  add('variable', type, '', document, '{}');
  for (const text of ['1', '1.0', '"a"', 'RED', '"RED"', 'true', 'null', '[1]', '["a"]', '{required: 1}', '{}', '2147483648']) {
    add('default', type, text, `query($v: ${type} = ${text}) { ${field}(v: $v) }`, '{}');
    if (!type.endsWith('!')) add('default', type, text + ' and null', `query($v: ${type} = ${text}) { ${field}(v: $v) }`, '{"v":null}');
  }
}
// Variables in places of other types, and inside lists and objects.
const placed = [['Int', 'ints', '$v', '1'], ['Int', 'intRequired', '$v', '1'], ['Int = 2', 'intRequired', '$v', '1'], ['Int!', 'int', '$v', '1.0'], ['Int', 'float', '$v', '1'], ['Int!', 'id', '$v', '1'], ['Int', 'ints', '[$v, 2]', '1.0'], ['Int', 'ints', '[$v, 2]', 'null'], ['Int', 'intsRequired', '[$v]', '1'],
  ['Int!', 'object', '{required: $v}', '2e0'], ['Int', 'object', '{required: 1, int: $v}', '3.0'], ['String', 'object', '{required: 1, string: $v}', '5'], ['String', 'object', '{required: 1, string: $v, int: 3}', '"s"'], ['[Int!]', 'object', '{required: 1, ints: $v}', '[1.0]'], ['Colour', 'enums', '[RED, $v]', '"GREEN"'], ['String', 'enum', '$v', '"RED"'], ['Int', 'intDefault', '$v', '1'], ['Int', 'intDefault', '$v', 'null']];
for (const [type, field, use, text] of placed) {
  const document = `query($v: ${type}) { ${field}(v: ${use}) }`;
  add('placed', type, text, document, `{"v":${text}}`);
  add('placed', type, '', document, '{}');
}
add('placed', 'Int', 'undeclared', '{ int(v: 1) }', '{"v":[{}],"w":1}');
add('placed', 'Int', 'others', 'query($v: Int) { int(v: $v) }', '{"v":1,"w":{"x":[]}}');

// Numbers at the bounds of JavaScript's, and whole ones that are written with fractions or exponents.
const bounds = ['0e0', '0.0e99999', '1e-99999', '5e-324', '4e-324', '1.7976931348623157e308', '100e-2', '1e2', '1.0e0', '1.50e1', '1.5e0', '21474836470e-1', '2.147483647e9', '2.147483648e9', '-2147483648.0', '-2147483649.0', '9007199254740991', '9007199254740992', '1e15', '1e20', '1.5e21', '-0e1'];
for (const field of ['int', 'intRequired', 'float', 'id', 'ids', 'ints', 'matrix', 'string', 'boolean', 'enum']) {
  const type = typeOf(field);
  for (const text of bounds) {
    add('literal', type, text, `{ ${field}(v: ${text}) }`);
    add('variable', type, text, `query($v: ${type}) { ${field}(v: $v) }`, `{"v":${text}}`);
    add('variable', type, `[${text}]`, `query($v: ${type}) { ${field}(v: $v) }`, `{"v":[${text}]}`);
    add('default', type, text, `query($v: ${type} = ${text}) { ${field}(v: $v) }`, '{}');
  }
}
// Block strings of two and three lines, by what ends a line and what begins it.
for (const end of ['\n', '\r', '\r\n', '\n\r', '\u2028', '\u0085']) {
  for (const first of ['', ' ', '\t', '\u3000', '\ufeff']) {
    for (const second of ['', '  ', '\t ', '\u00a0']) {
      for (const text of [`${q}${first}a${end}${second}b${q}`, `${q}${end}${first}a${end}${second}\\"""b ${end}${q}`]) add('text', 'String', text, `{ string(v: ${text}) }`);
    }
  }
}
// Characters between all tokens of a document, and in its comment.
const spread = 'query Q ( $v : Int = 1 ) { a : int ( v : $v ) # c\n }';
for (const c of ['\u007f', '\u0085', '\u00a0', '\u2028', '\u200b', '\ufeff', '\t', '\r', ',', '&', '|', '@', '!', '?', '%', '=', '..', '...', '$', '\\', '😀', 'é']) {
  for (const [i, at] of [...spread].entries()) if (at === ' ') add('document', '', `${JSON.stringify(c)} at ${i}`, spread.slice(0, i) + c + spread.slice(i), '{}');
}
// Conditions of every kind.
for (const directive of ['@skip(if: true)', '@include(if: false)', '@skip(if: $b)', '@include(if: null)', '@skip(if: "true")', '@include(if: 1)', '@nope', '@skip(if: true) @skip(if: false)', '@deprecated']) {
  for (const [declared, values] of [['', '{}'], ['($b: Boolean!)', '{"b":true}'], ['($b: Boolean!)', '{"b":1}'], ['($b: Boolean!)', '{"b":"true"}'], ['($b: Boolean)', '{"b":true}'], ['($b: Boolean = true)', '{}'], ['($b: String!)', '{"b":"x"}']]) {
    add('document', '', `${directive} ${declared} ${values}`, `query${declared} { string(v: "a") ${directive} boolean }`, values);
  }
}
// A null, or no value, of a variable in a place that is not null and has a default.
const nonNull = [['Int', 'intNonNullDefault', '$v', '5'], ['Int = 2', 'intNonNullDefault', '$v', '5'], ['Int = null', 'intNonNullDefault', '$v', '5'], ['Int', 'object', '{required: 1, default: $v}', '5'], ['Int = 2', 'object', '{required: $v}', '5'], ['Int', 'object', '{required: 1, in: {required: 2, default: $v}}', '5'], ['Int', 'objects', '[{required: 1, default: $v}]', '5'],
  ['Int', 'objects', '{required: 1, default: $v}', '5'], ['Int = 2', 'intsRequired', '[$v]', '5'], ['Int = 2', 'intsRequired', '[1, $v]', '5'], ['Int = 2', 'intsRequired', '$v', '5'], ['[Int!] = [2]', 'intsRequired', '$v', '[5]'], ['Int = 2', 'intRequired', '$v', '5'], ['String = "s"', 'strings', '[$v]', '"t"'], ['In = {required: 1}', 'objectRequired', '$v', '{"required":2}'], ['Int', 'int', '$v', '5'], ['Int', 'object', '{required: 1, int: $v}', '5']];
for (const [type, field, use, text] of nonNull) {
  const document = `query($v: ${type}) { ${field}(v: ${use}) }`;
  for (const values of [`{"v":${text}}`, '{"v":null}', '{}']) add('null', type, `${use} ${values}`, document, values);
}
// Variables of a fragment, which the specification does not have.
for (const defined of ['', '($a: Int)', '($a: Int = 1, $b: [Int!])', '()']) {
  const text = `{ string(v: "a") ...F } fragment F${defined} on Query { boolean }`;
  add('document', '', text, text, '{}');
}
// Variables of a fragment that two operations spread, of which one gives them defaults.
for (const [type, value, field, use] of [['Int', '2', 'int', '$v'], ['Int', '2', 'intDefault', '$v'], ['Int', '2', 'ints', '[$v, 1]'], ['Int', '2', 'object', '{required: 1, int: $v}'], ['Int', '2', 'object', '{required: 1, default: $v}'], ['String', '"s"', 'objects', '[{required: 1, nullableDefault: $v}]'], ['[Int!]', '[2]', 'object', '{required: 1, ints: $v}'], ['In', '{required: 2}', 'object', '{required: 1, in: $v}']]) {
  for (const document of [`query A($v: ${type}) { ...F } query B($v: ${type} = ${value}) { ...F }`, `query B($v: ${type} = ${value}) { ...F } query A($v: ${type}) { ...F }`]) {
    for (const operation of ['A', 'B']) {
      for (const values of ['{}', '{"v":null}']) add('shared', type, `${use} of ${operation} ${values}`, `${document} fragment F on Query { ${field}(v: ${use}) }`, values, operation);
    }
  }
}
// Strings in the place of keywords and names.
for (const on of ['on', '"on"', `${q}on${q}`, '# c\n"on"', ', "on"']) {
  for (const text of [`{ string(v: "a") ...${on} Query { boolean } }`, `{ string(v: "a") ...F } fragment F ${on} Query { boolean }`, `{ string(v: "a") ... ${on} }`]) add('document', '', text, text, '{}');
}
for (const text of ['"query" { string(v: "a") }', '"query" query { string(v: "a") }', '"mutation" Q { string(v: "a") }', '{ string(v: "a") ...F } "fragment" F on Query { boolean }', '{ string(v: "a") ...F } fragment "F" on Query { boolean }', '{ string(v: "a") ...F } fragment on on Query { boolean }',
  '{ string(v: "a") ..."F" } fragment F on Query { boolean }', '{ string(v: "a") ... on "Query" { boolean } }', '{ "string"(v: "a") }', '{ "a": string(v: "a") }', '{ string("v": "a") }', '{ string @"skip"(if: false) }', '{ string ... "c" @skip(if: true) { boolean } }', '{ string ... "on" { boolean } }', 'query($"v": Int) { string(v: "a") }', 'query "Q" { string(v: "a") }', '{ boolean(v: "true") }', '{ boolean(v: "null") }', '{ string(v: "null") }']) add('document', '', text, text, '{}');

writeFileSync(here('table.json'), `{"graphql":${JSON.stringify(version)},"rows":[\n${rows.map((r) => JSON.stringify(r)).join(',\n')}\n]}\n`);
writeFileSync(here('builtin.graphql'), `${printIntrospectionSchema(buildSchema2021('type Query { a: Int }'))}\n`);
console.log(`${rows.length} rows of graphql-js ${version}`);
