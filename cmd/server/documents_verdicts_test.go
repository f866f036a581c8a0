package main

// documentsOfClients is a manifest such as the generators of docs/clients.md write.
const documentsOfClients = `{
	"a": "query Dashboard($first: Int) { workflows(first: $first) { nodes { name package { name } queue { name } robots { name } } } }",
	"b": "subscription RobotStatus { robotChanged { name status } }"
}`

// verdicts are those of all fenced blocks, and of inline commands that are more than a name. A document without a session
// begins none. GraphQL is tested in graph/schema, README.zh-CN.md is compared with README.md there, and docs/questions.md
// is written by test/e2e/questions.
var verdicts = map[string][]verdict{
	"README.md": {
		{begins: "go run ./cmd/server demo", prints: `^$`, then: `curl -s http://127.0.0.1:8080/ | grep -q GraphiQL; curl -s http://127.0.0.1:8080/dashboard/ | grep -q '<script'`},
		{begins: "make test", named: true},
		{begins: `{ "data"`, by: "cmd/server/readme_test.go"},
		{begins: "export CONSOLEQL_CONSOLE_URL", prints: `^$`},
		{begins: "TOKEN=$(curl", prints: `^cqs_[\w-]{20,}\n$`, then: `echo $TOKEN`},
		{begins: "curl -s http://127.0.0.1:8080/graphql", prints: `(?s)"id": "COMPANY".*"id": "DEPARTMENT"`},
		{begins: "curl -s http://127.0.0.1:8080/graphql", prints: `(?s)"totalCount": [1-9].*"name": "RPA-`},
		{begins: "docker compose -f deploy/compose.yaml", cannot: true},
	},
	"CONTRIBUTING.md": {{begins: "go run ./cmd/server demo", prints: `(?m)^  bench +Measure`}},
	"docs/architecture.md": {
		{begins: "flowchart LR", judge: layersExist},
		{begins: "go test -run TestNoReadIsOlder", named: true},
	},
	"docs/caching.md": {{begins: "curl http://127.0.0.1:8080/graphql", prints: `^{"data":{"robots":{"totalCount":[1-9]\d*}}}$`}},
	"docs/clients.md": {
		{begins: "curl http://127.0.0.1:8080/graphql", prints: `^{"data":{"robots":{"totalCount":[1-9]\d*,"nodes":\[{"name":"RPA-`},
		{begins: "curl http://127.0.0.1:8080/graphql", prints: `^{"data":{"uploadPackage":{"packageName":"[\w-]+","lastVersion":"[\d.]+"}}}$`},
		{begins: "import { ApolloClient,", by: "test/clients/documented.test.mjs", shared: "typePolicies: { Query: { fields: { queues: relayStylePagination(['filter', 'order']) } } }"},
		{begins: "client.mutate({", by: "test/clients/documented.test.mjs", shared: "cache.evict({ id: cache.identify({ __typename: 'Queue', id: data.deleteQueue.deletedId }) });"},
		{begins: "import { Client, fetchExchange }", by: "test/clients/documented.test.mjs", shared: "cache.invalidate({ __typename: 'Queue', id: result.deleteQueue.deletedId });"},
		{begins: "client.mutation(", by: "test/clients/documented.test.mjs", shared: "{ additionalTypenames: ['Queue'] }"},
		{begins: `{ "src": "./src"`, by: "test/clients/relay.test.mjs", shared: "nodeInterfaceIdField"},
		{begins: "import type { CodegenConfig }", by: "test/clients/codegen.test.mjs", shared: "scalars: { ID: 'string', DateTime: 'string', StringMap: 'Record<string, string>', Upload: 'File' }"},
		{begins: "import { createClient }", by: "test/clients/clients.test.mjs", shared: "for await (const { data, errors } of client.iterate({ query: "},
		{begins: "consoleql check persisted-query-manifest.json", prints: `Dashboard`},
		{begins: "calls rounds depth", answer: answer{of: "consoleql check", changing: `[0-9]+`}},
		{begins: `{ "Dashboard": { "first": 20 } }`, judge: isJSON}, // the session's example variables
		{begins: "- run: npx", judge: stepsAreCommands},
		{begins: "extend schema @link", judge: isSchema},
		{begins: `{ "ListRobots":`, by: "test/clients/mcp.test.mjs"},
		{begins: `{ "mcpServers"`, judge: isJSON},
		{begins: "import { Client } from '@modelcontextprotocol", by: "test/clients/mcp.test.mjs", shared: "await client.callTool({ name: 'ListRobots', arguments: { first: "},
		{begins: "cd examples/dashboard/web", cannot: true},
		{begins: "location /dashboard/", judge: isNginx},
	},
	"docs/explain.md": {
		{begins: "go run ./cmd/server demo --latency 20ms", prints: `"durationMs"`, then: `tail -n +2 $this >again; for i in 2 3 4; do . ./again; done; sed "s/Trace: 1/Trace: plan/" again >plan; . ./plan`},
		{begins: `{ "consoleql": { "calls"`, answer: answer{of: "go run ./cmd/server demo --latency 20ms", nth: 4, changing: "Ms$"}},
		{begins: `{ "consoleql": { "plan"`, answer: answer{of: "go run ./cmd/server demo --latency 20ms", nth: 5, changing: "^$"}},
	},
	"docs/identity.md": {
		{begins: "accounts:", judge: areKeys},
		{begins: "export CONSOLEQL_USERNAME", prints: `"totalCount":[1-9]`, then: `start serve; curl -s http://127.0.0.1:8080/graphql -H "CompanyId: $COMPANY" -H "DepartmentId: $DEPARTMENT" -H 'Content-Type: application/json' -d '{"query":"{ robots { totalCount } }"}'`},
		{begins: `printf %s "$KEY"`, prints: `^[0-9a-f]{64}  -\n$`},
	},
	"docs/operations.md": {
		{begins: "curl -H 'Accept: application/json'", prints: `"status"`, then: `ask() { curl http://127.0.0.1:8080/graphql -H "X-Api-Key: $(sed -n 's/^key:  //p' made)" -H "CompanyId: $COMPANY" -H "DepartmentId: $DEPARTMENT" -H 'Content-Type: application/json' -d "$1" >/dev/null; }
ask '{"query":"query Dashboard { robots { totalCount } }"}'
ask "$(sed "s/ID/$WORKFLOW/" <<<'{"query":"mutation Nightly($in: ExecuteWorkflowInput!) { executeWorkflow(input: $in) { jobs { id } } }","variables":{"in":{"id":"ID","priority":4000,"idempotencyKey":"once"}}}')"
until grep '"msg":"request".*"name":"Dashboard"' 1.log; do sleep 0.05; done
until grep '"phase":"done"' 1.log; do sleep 0.05; done`},
		{begins: `{"status":"degraded"`, answer: answer{of: "curl -H 'Accept: application/json'", nth: 1, changing: "."}},
		{begins: "docker compose -f deploy/compose.yaml", cannot: true},
		{begins: "openssl rand", prints: `^[\w+/]{43}=\n$`},
		{begins: "kubectl set image", cannot: true}, {begins: "kubectl rollout status", cannot: true}, {begins: "kubectl rollout undo", cannot: true},
		{begins: `{"time":`, answer: answer{of: "curl -H 'Accept: application/json'", nth: 2, changing: "."}},
		{begins: `{"log":"audit"`, answer: answer{of: "curl -H 'Accept: application/json'", nth: 3, changing: "."}},
		{begins: "curl -o cpu.pprof", prints: `^$`, then: "gzip -t cpu.pprof"},
	},
	"docs/performance.md": {
		{begins: "make bench", named: true}, {begins: `make bench BENCH="--runs 1`, named: true}, {begins: "make bench && mv", named: true},
		{begins: "go test -run '^$' -bench Decode", named: true}, {begins: "go test -count=1 -v -run TestLargeUpload", named: true},
		{begins: "go test -count=1 -v -run TestSoak", named: true}, {begins: "make rotation", named: true},
	},
	"docs/subscriptions.md": {
		{begins: `{"Authorization":`, judge: isJSON},
		{begins: "curl -N", prints: `{"data":{"robotChanged":{"name":"RPA-[^"]*","status":"[A-Z]+"}}}`, stream: true},
	},
}
