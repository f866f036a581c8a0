package main

// documentsOfClients is a manifest such as the generators of docs/clients.md write.
const documentsOfClients = `{
	"a": "query Dashboard($first: Int) { workflows(first: $first) { nodes { name package { name } queue { name } robots { name } } } }",
	"b": "subscription RobotStatus { robotChanged { name status } }"
}`

// expectations are those of all fenced blocks, and of inline commands that are more than a name. A document without a session
// begins none. GraphQL is tested in graph/schema, README.zh-CN.md is compared with README.md there, and docs/questions.md
// is written by test/e2e/questions.
var expectations = map[string][]expectation{
	"README.md": {
		{prefix: "go run ./cmd/server demo", output: `^$`, then: `curl -s http://127.0.0.1:8080/ | grep -q GraphiQL; curl -s http://127.0.0.1:8080/dashboard/ | grep -q '<script'`},
		{prefix: "make test", named: true},
		{prefix: `{ "data"`, testFile: "cmd/server/readme_test.go"},
		{prefix: "export CONSOLEQL_CONSOLE_URL", output: `^$`},
		{prefix: "TOKEN=$(curl", output: `^cqs_[\w-]{20,}\n$`, then: `echo $TOKEN`},
		{prefix: "curl -s http://127.0.0.1:8080/graphql", output: `(?s)"id": "COMPANY".*"id": "DEPARTMENT"`},
		{prefix: "curl -s http://127.0.0.1:8080/graphql", output: `(?s)"totalCount": [1-9].*"name": "RPA-`},
		{prefix: "docker compose -f deploy/compose.yaml", untestable: true},
	},
	"CONTRIBUTING.md": {{prefix: "go run ./cmd/server demo", output: `(?m)^  bench +Measure`}},
	"docs/architecture.md": {
		{prefix: "flowchart LR", check: layersExist},
		{prefix: "go test -run TestNoReadIsOlder", named: true},
	},
	"docs/caching.md": {{prefix: "curl http://127.0.0.1:8080/graphql", output: `^{"data":{"robots":{"totalCount":[1-9]\d*}}}$`}},
	"docs/clients.md": {
		{prefix: "curl http://127.0.0.1:8080/graphql", output: `^{"data":{"robots":{"totalCount":[1-9]\d*,"nodes":\[{"name":"RPA-`},
		{prefix: "curl http://127.0.0.1:8080/graphql", output: `^{"data":{"uploadPackage":{"packageName":"[\w-]+","lastVersion":"[\d.]+"}}}$`},
		{prefix: "import { ApolloClient,", testFile: "test/clients/documented.test.mjs", sharedText: "typePolicies: { Query: { fields: { queues: relayStylePagination(['filter', 'order']) } } }"},
		{prefix: "client.mutate({", testFile: "test/clients/documented.test.mjs", sharedText: "cache.evict({ id: cache.identify({ __typename: 'Queue', id: data.deleteQueue.deletedId }) });"},
		{prefix: "import { Client, fetchExchange }", testFile: "test/clients/documented.test.mjs", sharedText: "cache.invalidate({ __typename: 'Queue', id: result.deleteQueue.deletedId });"},
		{prefix: "client.mutation(", testFile: "test/clients/documented.test.mjs", sharedText: "{ additionalTypenames: ['Queue'] }"},
		{prefix: `{ "src": "./src"`, testFile: "test/clients/relay.test.mjs", sharedText: "nodeInterfaceIdField"},
		{prefix: "import type { CodegenConfig }", testFile: "test/clients/codegen.test.mjs", sharedText: "scalars: { ID: 'string', DateTime: 'string', StringMap: 'Record<string, string>', Upload: 'File' }"},
		{prefix: "import { createClient }", testFile: "test/clients/clients.test.mjs", sharedText: "for await (const { data, errors } of client.iterate({ query: "},
		{prefix: "consoleql check persisted-query-manifest.json", output: `Dashboard`},
		{prefix: "calls rounds depth", answer: answer{of: "consoleql check", changing: `[0-9]+`}},
		{prefix: `{ "Dashboard": { "first": 20 } }`, check: isJSON}, // the session's example variables
		{prefix: "- run: npx", check: stepsAreCommands},
		{prefix: "extend schema @link", check: isSchema},
		{prefix: `{ "ListRobots":`, testFile: "test/clients/mcp.test.mjs"},
		{prefix: `{ "mcpServers"`, check: isJSON},
		{prefix: "import { Client } from '@modelcontextprotocol", testFile: "test/clients/mcp.test.mjs", sharedText: "await client.callTool({ name: 'ListRobots', arguments: { first: "},
		{prefix: "cd examples/dashboard/web", untestable: true},
		{prefix: "location /dashboard/", check: isNginx},
	},
	"docs/explain.md": {
		{prefix: "go run ./cmd/server demo --latency 20ms", output: `"durationMs"`, then: `tail -n +2 $this >again; for i in 2 3 4; do . ./again; done; sed "s/Trace: 1/Trace: plan/" again >plan; . ./plan`},
		{prefix: `{ "consoleql": { "calls"`, answer: answer{of: "go run ./cmd/server demo --latency 20ms", nth: 4, changing: "Ms$"}},
		{prefix: `{ "consoleql": { "plan"`, answer: answer{of: "go run ./cmd/server demo --latency 20ms", nth: 5, changing: "^$"}},
	},
	"docs/identity.md": {
		{prefix: "accounts:", check: areKeys},
		{prefix: "export CONSOLEQL_USERNAME", output: `"totalCount":[1-9]`, then: `start serve; curl -s http://127.0.0.1:8080/graphql -H "CompanyId: $COMPANY" -H "DepartmentId: $DEPARTMENT" -H 'Content-Type: application/json' -d '{"query":"{ robots { totalCount } }"}'`},
		{prefix: `printf %s "$KEY"`, output: `^[0-9a-f]{64}  -\n$`},
	},
	"docs/operations.md": {
		{prefix: "curl -H 'Accept: application/json'", output: `"status"`, then: `ask() { curl http://127.0.0.1:8080/graphql -H "X-Api-Key: $(sed -n 's/^key:  //p' made)" -H "CompanyId: $COMPANY" -H "DepartmentId: $DEPARTMENT" -H 'Content-Type: application/json' -d "$1" >/dev/null; }
ask '{"query":"query Dashboard { robots { totalCount } }"}'
ask "$(sed "s/ID/$WORKFLOW/" <<<'{"query":"mutation Nightly($in: ExecuteWorkflowInput!) { executeWorkflow(input: $in) { jobs { id } } }","variables":{"in":{"id":"ID","priority":4000,"idempotencyKey":"once"}}}')"
until grep '"msg":"request".*"name":"Dashboard"' 1.log; do sleep 0.05; done
until grep '"phase":"done"' 1.log; do sleep 0.05; done`},
		{prefix: `{"status":"degraded"`, answer: answer{of: "curl -H 'Accept: application/json'", nth: 1, changing: "."}},
		{prefix: "docker compose -f deploy/compose.yaml", untestable: true},
		{prefix: "openssl rand", output: `^[\w+/]{43}=\n$`},
		{prefix: "kubectl set image", untestable: true}, {prefix: "kubectl rollout status", untestable: true}, {prefix: "kubectl rollout undo", untestable: true},
		{prefix: `{"time":`, answer: answer{of: "curl -H 'Accept: application/json'", nth: 2, changing: "."}},
		{prefix: `{"log":"audit"`, answer: answer{of: "curl -H 'Accept: application/json'", nth: 3, changing: "."}},
		{prefix: "curl -o cpu.pprof", output: `^$`, then: "gzip -t cpu.pprof"},
	},
	"docs/performance.md": {
		{prefix: "make bench", named: true}, {prefix: `make bench BENCH="--runs 1`, named: true}, {prefix: "make bench && mv", named: true},
		{prefix: "go test -run '^$' -bench Decode", named: true}, {prefix: "go test -count=1 -v -run TestLargeUpload", named: true},
		{prefix: "go test -count=1 -v -run TestSoak", named: true}, {prefix: "make rotation", named: true},
	},
	"docs/subscriptions.md": {
		{prefix: `{"Authorization":`, check: isJSON},
		{prefix: "curl -N", output: `{"data":{"robotChanged":{"name":"RPA-[^"]*","status":"[A-Z]+"}}}`, stream: true},
	},
}
