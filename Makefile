# Targets. `make help` explains them.
.DEFAULT_GOAL := help
.PHONY: help demo test clients lint fmt cover generate bench soak pages fuzz chaos rotation build release tools graphiql dashboard graphqljs vuln test-go126

# The toolchain of builds, tests and releases. It wins over an environment that says "local".
export GOTOOLCHAIN := go1.27.3
OLDEST_GO := go1.26.8

BIN := $(CURDIR)/bin
GOLANGCI_LINT := $(BIN)/golangci-lint
GOLANGCI_LINT_VERSION := v2.15.0

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/\1|\2/' | awk -F'|' '{printf "  %-10s %s\n", $$1, $$2}'

demo: ## Serve the graph in front of a simulated console
	go run ./cmd/server demo

# Many tests wait, so that three packages with six tests each keep two cores busy.
test: build ## Install what the tests need and run the Go tests, with the race detector
	@./scripts/install-test-needs
	go test -race -shuffle=on -p 3 -parallel 6 -timeout 20m ./...

clients: build ## Run clients that people use, and the audits of graphql-http, against the gateway (needs Node.js and npm)
	cd test/clients && npm ci --no-audit --no-fund && npm test

test-go126: ## Test JSON and HTTP with the oldest Go that go.mod allows (encoding/json differs from 1.27's)
	GOTOOLCHAIN=$(OLDEST_GO) go test ./graph/... ./internal/consoleclient/... ./internal/edge/...

vuln: ## Look for known vulnerabilities in the release binary: fail where a vulnerable function is called
	./scripts/vuln

fmt: $(GOLANGCI_LINT) ## Format the code
	$(GOLANGCI_LINT) fmt ./...

cover: ## Measure which statements the tests run: coverage.html
	@./scripts/install-test-needs
	go test -coverpkg=./... -coverprofile=coverage.out ./...
	go tool cover -html=coverage.out -o coverage.html

lint: $(GOLANGCI_LINT) ## Check the code's form: golangci-lint, go vet, formatting, spelling
	$(GOLANGCI_LINT) run ./...

generate: ## Write the generated code from the schema
	go generate ./...

bench: ## Measure what operations cost, cold, warm and mixed, beside a bare handler: a table and bench.txt (16 minutes)
	@./scripts/install-bench-needs
	go run ./cmd/bench $(BENCH)

soak: ## Load the gateway with everything for ten minutes, send uploads of 2 GiB, 1,000 clients at once, play faults for half an hour and outages, restart gateways, and profile cold operations (50 minutes)
	go test -run '^$$' -bench . -benchmem ./test/e2e/caching
	go test -count=1 -v -run TestSoak -timeout 30m ./test/e2e/operations -soak 10m
	go test -count=1 -v -run TestSoak -timeout 60m ./test/chaos -soak 30m -soak-period 20s
	go test -count=1 -v -run TestQuestionsUnderLoad -timeout 30m ./test/e2e/questions -departments 300 -flood 1500
	go test -count=1 -v -run TestRecovery ./test/chaos -lost 3s -down 60s -recovery 5s
	go test -count=1 -v -run 'TestNginx$$' -timeout 30m ./deploy -restarts 10
	go test -count=1 -v -run TestLargeUpload -timeout 30m ./test/e2e/uploads -upload-bytes 2147483648
	go test -count=1 -v -run TestConcurrentRequests -timeout 30m ./test/e2e/caching -clients 1000
	go test -count=1 -v -run TestSubscribersSharePoll -timeout 30m ./test/e2e/subscriptions -clients 1000
	go test -count=1 -v -run TestIdleSubscriberMemory -timeout 30m ./test/e2e/subscriptions -clients 5000
	go test -count=1 -v -run TestLargeCompanies -timeout 30m ./test/e2e/subscriptions -departments 300
	go test -count=1 -v -run TestRequestMemoryIsBounded -timeout 30m ./test/e2e/limits -attacks 200
	go test -count=1 -v -run TestClientsThatReadNothing -timeout 30m ./test/e2e/limits -stalled 900

pages: ## Run the tests that drive a real Chromium; make test runs them too
	@./scripts/install-test-needs
	go test -race -run Browser ./cmd/server ./internal/edge/graphiql/... ./test/e2e/dashboard

fuzz: ## Run random queries, changes and bytes against independent calculations (10 minutes)
	go test ./test/oracle -run TestAnswersMatchOracle -oracle 60s
	go test ./test/e2e/caching -run TestNoReadIsOlderThanAWrite -model 60s
	go test ./test/e2e/subscriptions -run TestSubscriptionsMatchQueries -agreement-seeds 20
	go test ./test/e2e/joins -run TestWrongCounts -every-page-size
	SEED=$$(date +%s) go test ./test/e2e/joins -run TestRandomCounts
	go test ./internal/consoleclient -run TestDecodersAgreeOnMutations -mutants 200
	go test ./internal/consoleclient -run '^$$' -fuzz FuzzDecodersAgree -fuzztime 60s -fuzzminimizetime 1x
	go test ./internal/responsecache -run '^$$' -fuzz FuzzEnvelope -fuzztime 60s -fuzzminimizetime 1x

chaos: ## Run every fault against every kind of operation, compare the results, and write docs/resilience.md (2 minutes)
	@./scripts/install-test-needs
	go test -count=1 -parallel 12 -timeout 30m ./test/chaos -all -write

rotation: ## Let four gateways and 200 callers rotate tokens of one second 200 times, with and without kills (6 minutes)
	go test -count=1 -run TestTokensRotate -v -timeout 30m ./test/e2e/identity -expiries 200 -token-life 1s -think-time 0 -kill-period 5s

build: ## Build the release binary into bin/
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $(BIN)/consoleql ./cmd/server

release: ## Build the archives of a release into release/, with checksums and a software bill of materials
	./scripts/release release

graphiql: ## Build the GraphiQL page's assets (needs Node.js and npm)
	cd internal/edge/graphiql/web && npm ci --no-audit --no-fund && npm run build

dashboard: ## Build the example dashboard's assets (needs Node.js and npm)
	cd examples/dashboard/web && npm ci --no-audit --no-fund && npm run build

graphqljs: ## Record how graphql-js 16 reads literals and variables (needs Node.js and npm)
	cd internal/edge/querylimit/testdata/graphqljs && npm install --no-package-lock --no-audit --no-fund && node table.mjs

$(GOLANGCI_LINT):
	GOBIN=$(BIN) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
