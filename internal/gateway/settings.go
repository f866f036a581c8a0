package gateway

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/consoleql/consoleql/graph/capabilities"
	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/graph/relation"
	"github.com/consoleql/consoleql/internal/accesslog"
	"github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/edge"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
	"github.com/consoleql/consoleql/internal/idempotency"
	"github.com/consoleql/consoleql/internal/listenaddress"
	"github.com/consoleql/consoleql/internal/scope"
	"github.com/consoleql/consoleql/internal/telemetry"
	"github.com/consoleql/consoleql/internal/textfile"
	"github.com/consoleql/consoleql/internal/trusteddocuments"
)

// Settings holds the gateway's flags and environment variables: --console-url is CONSOLEQL_CONSOLE_URL. Flags take
// precedence.
type Settings struct {
	Listeners     `group:"Listeners"`
	Console       `group:"Console and scope"`
	Account       `group:"Default service account"`
	Identity      `group:"Credentials"`
	Shared        `group:"Replicas"`
	Caching       `group:"Caches"`
	Subscriptions `group:"Subscriptions"`
	Limits        `group:"Limits"`
	Documents     `group:"Trusted documents"`
	Tracing       `group:"Traces and slow operations"`
	Logging       `group:"Log"`
}

// Listeners are the flags of listeners and shutdown.
type Listeners struct {
	Listen          string        `default:"${listen}" help:"Address of the public listener. Port 0 picks a free port, which the log names."`
	AdminListen     string        `default:"127.0.0.1:9090" help:"Address of the admin listener (metrics and profiles). Empty: there is none."`
	TLSCertFile     string        `name:"tls-cert-file" help:"File of the certificate chain with which the public listener speaks TLS (PEM). Certificate and key are read again when they change. Empty: HTTP/1.1 and HTTP/2 without TLS." placeholder:"FILE"`
	TLSKeyFile      string        `name:"tls-key-file" help:"File of the private key of the certificate (PEM)." placeholder:"FILE"`
	AllowedOrigins  []string      `help:"Origins whose pages may use the gateway from a browser, beside its own pages; separated by commas." placeholder:"https://dashboards.example"`
	GraphiQL        string        `name:"graphiql" enum:"on,off" default:"on" help:"Whether the gateway serves GraphiQL at / (${enum})."`
	Introspection   string        `enum:"on,off" default:"on" help:"Whether callers can read the schema (${enum}). off: __schema and __type are refused with FORBIDDEN, /schema.graphql is not found, and errors suggest no names. GraphiQL then knows no schema."`
	Federation      string        `enum:"on,off" default:"off" help:"Whether the gateway is a subgraph of Apollo Federation 2 (${enum}). on: the schema has _service and _entities."`
	ShutdownDelay   time.Duration `default:"5s" help:"How long the gateway serves after SIGTERM while /readyz answers 503. Set it to the time that a load balancer takes to notice. An interrupt (Ctrl-C) does not wait."`
	IdleTimeout     time.Duration `default:"620s" help:"How long an idle connection of a client stays open. Set it above the idle timeout of load balancers, which send requests on idle connections."`
	ShutdownTimeout time.Duration `default:"35s" help:"How long requests in flight may take to end after the shutdown delay. Set it above --console-write-timeout, so that a write can end. Uploads may take longer."`
}

// Console are the flags of the console and the default scope.
type Console struct {
	ConsoleURL              string        `name:"console-url" default:"https://api.encoo.com" help:"Base URL of the console's API gateway."`
	SSOURL                  string        `name:"sso-url" default:"https://auth.encoo.com" help:"Base URL of the console's SSO."`
	ConsoleCAFile           string        `name:"console-ca-file" help:"File of certificates of authorities (PEM) that console, SSO and storage are verified against, beside the system's. It is read again when it changes." placeholder:"FILE"`
	ConsoleIDs              string        `name:"console-ids" enum:"auto,on,off" default:"auto" help:"Whether the console's lists (${lists_with_ids}) take the parameter Ids (${enum}). auto: the gateway finds out, and looks again every ten minutes."`
	ConsoleTimeout          time.Duration `default:"${console_timeout}" help:"How long the console may take for one read."`
	ConsoleWriteTimeout     time.Duration `default:"${console_write_timeout}" help:"How long the console may take for one write."`
	ConsoleConcurrency      int           `default:"${console_concurrency}" help:"Concurrent calls of the console, for the whole gateway. Fewer are made while the console fails or slows down."`
	Replicas                int           `help:"Number of gateways that share the console's data, if it is known. 1: no other gateway exists, so that answers in memory stay in use while Redis is away. 0: unknown." placeholder:"0"`
	ConsoleRate             float64       `help:"Calls of the console that start per second, for the whole gateway. 0: unlimited." placeholder:"0"`
	HedgeDelay              time.Duration `kong:"-"` // see transport.Options; only tests set it
	ConsoleMaxResponseBytes int64         `default:"${console_max_response_bytes}" help:"Largest answer of the console that is read, in bytes."`
	ConsoleQueueCreatePath  string        `default:"${console_queue_create_path}" help:"Path to which a new queue is posted. Some consoles want /openapi/queues."`
	OperationConcurrency    int           `default:"${operation_concurrency}" help:"Concurrent calls of the console, for one GraphQL operation."`
	CompanyID               string        `name:"company-id" help:"Company of requests that name none, without the header CompanyId." placeholder:"GUID"`
	DepartmentID            string        `name:"department-id" help:"Department of requests that name none, without the header DepartmentId." placeholder:"GUID"`
}

// Account are the flags of the default service account.
type Account struct {
	Username     string `help:"User name of the default service account." placeholder:"NAME"`
	Password     string `help:"Password of the default service account. Prefer --password-file." placeholder:"SECRET"`
	PasswordFile string `help:"File that holds the password of the default service account. Files of passwords, API keys and token keys are read again when their content changes, and on SIGHUP. A file that cannot be used is logged and changes nothing." placeholder:"FILE"`
	Anonymous    bool   `default:"false" help:"Let callers without credentials act as the default service account. Only for trusted networks."`
}

// Identity are the flags of credentials, sessions and token keys.
type Identity struct {
	APIKeysFile     string        `name:"api-keys-file" help:"File of API keys, as hashes, and of the service accounts behind them (YAML or JSON). Empty: there are none." placeholder:"FILE"`
	VerifyTokens    string        `enum:"off,on" default:"off" help:"Whether callers' console tokens are verified before the console is asked, against the keys that the SSO publishes (${enum}). off: only the console checks them."`
	TokenIssuers    []string      `help:"Issuers that verified tokens may name, separated by commas, for an SSO that is reached by an inner address. Empty: the issuer in the SSO's discovery document." placeholder:"URL"`
	JWKSURL         string        `name:"jwks-url" help:"URL of the keys with which tokens are verified. Empty: the URL in the SSO's discovery document." placeholder:"URL"`
	SessionLifetime time.Duration `default:"${session_lifetime}" help:"How long a session lasts from its signIn. Use does not extend it."`
	TokenKeys       string        `help:"Keys that encrypt console tokens in Redis, the newest first: 32 bytes each in base64 or hexadecimal, separated by commas. Without a key, tokens and sessions stay in the memory of each process. Prefer --token-keys-file." placeholder:"SECRET"`
	TokenKeysFile   string        `help:"File that holds the token keys, separated by commas or line breaks." placeholder:"FILE"`
}

// Shared are the flags of what replicas share.
type Shared struct {
	RedisURL             string        `name:"redis-url" help:"Redis 7 or later, in which replicas share state: redis:// or rediss://, with ?master_name= for Sentinel, with ?addr= for a Cluster. Redis must not evict keys, and should persist them. Empty: memory only." placeholder:"URL"`
	IdempotencyRetention time.Duration `default:"${idempotency_retention}" help:"How long the outcome of a mutation with an idempotencyKey is kept, at least 20s."`
}

// Subscriptions are the flags of subscriptions.
type Subscriptions struct {
	PollInterval              time.Duration `default:"${poll_interval}" help:"Time between two polls of the console, for each list or entity that subscriptions follow."`
	MaxSubscriptions          int           `default:"${max_subscriptions}" help:"Concurrent subscriptions, for the whole gateway."`
	MaxSubscriptionsPerCaller int           `default:"${max_subscriptions_per_caller}" help:"Concurrent subscriptions of one caller: an API key, a session, a verified user or a token; callers without credentials are one. Where the gateway has more than half of --max-subscriptions, a caller gets no more than are free."`
	StreamKeepalive           time.Duration `default:"${stream_keepalive}" help:"How often an idle WebSocket is pinged and an idle event stream gets a comment. Set it below the idle timeout of proxies in front."`
}

// Limits are the flags that bound operations and requests.
type Limits struct {
	MaxDepth          int           `default:"${max_depth}" help:"How many fields may nest in an operation."`
	OperationTimeout  time.Duration `default:"${operation_timeout}" help:"How long the reads of one query may take, or those of a mutation's payload after the change, or of one event of a subscription. Fields that are missing then are null with UPSTREAM_TIMEOUT. A call of the console waits no longer than that for its turn."`
	MaxFields         int           `default:"${max_fields}" help:"How many fields of one object an operation may select, including those of fragments. A name in a document has at most 128 characters."`
	MaxConsoleCalls   int           `default:"${max_console_calls}" help:"Calls of the console that one operation, or one event of a subscription, may make. Reads that a cache answers are no calls; with them, an operation may make five reads for each call. Fields beyond the limit are null with QUERY_TOO_COMPLEX. The file of API keys may set another limit for a key."`
	MaxAnswerBytes    int           `default:"${max_answer_bytes}" help:"Largest data of an answer, in bytes of JSON. Beyond it, data or a payload of a mutation is null with QUERY_TOO_COMPLEX."`
	MaxAnswerValues   int           `default:"${max_answer_values}" help:"How many objects, lists and scalars an answer may hold. Beyond it, data is null with QUERY_TOO_COMPLEX; of a mutation, only the payloads that do not fit."`
	MaxComplexity     string        `help:"Ignored, and accepted for one release. --max-console-calls, --max-answer-bytes and --max-answer-values bound operations instead." placeholder:"NUMBER"`
	MaxRequestBytes   int64         `default:"${max_request_bytes}" help:"Largest body of a GraphQL request, in bytes; without credentials, 16 KiB. All bodies in flight hold at most 64 MiB (4 MiB without credentials), or four times this setting if that is more, shared between the callers. Beyond that, the answer is 503 with Retry-After."`
	MaxUploadBytes    int64         `default:"${max_upload_bytes}" help:"Largest request that carries a file, in bytes."`
	UploadTimeout     time.Duration `default:"${upload_timeout}" help:"How long the upload of one file to the console or its storage may take."`
	DirectUploadBytes int64         `default:"209715200" help:"Largest upload that is sent straight to the console, in bytes. Larger files go through its upload channel."`
}

// Documents are the flags of trusted documents.
type Documents struct {
	TrustedDocuments     string   `help:"Manifest of trusted documents, or a folder of manifests *.json: those of Apollo's generator (version 1), or objects of ids and texts as Relay and GraphQL Code Generator write them. It is read again when it changes, and on SIGHUP. Empty: there are none." placeholder:"PATH"`
	TrustedDocumentsMode string   `enum:",off,log,only" default:"" help:"Which documents run (off, log, only). off: all, and the setting --trusted-documents is ignored. log: all, and the log has a line for each that is not trusted, once an hour. only: trusted documents by id or text, and queries of __typename and the schema. The default is log where --trusted-documents is set." placeholder:"log"`
	MCP                  string   `name:"mcp" enum:"on,off" default:"off" help:"Whether agents run trusted documents as tools of the Model Context Protocol at /mcp (${enum}). Tools are the queries that have a description, their own or one in a file *.descriptions.json beside the manifest. Callers need an API key or a session."`
	MCPMutations         []string `name:"mcp-mutations" help:"Names of the trusted mutations that are tools at /mcp, too, separated by commas. Their callers need an API key whose operations allow mutations." placeholder:"NAME,NAME"`
}

// documentsMode returns the mode of trusted documents; empty: there are none.
func (d Documents) documentsMode() trusteddocuments.Mode {
	switch {
	case d.TrustedDocuments == "" || d.TrustedDocumentsMode == "off":
		return ""
	case d.TrustedDocumentsMode == "":
		return trusteddocuments.Log
	default:
		return trusteddocuments.Mode(d.TrustedDocumentsMode)
	}
}

// Tracing are the flags of traces and slow operations.
type Tracing struct {
	SlowOperation time.Duration `default:"5s" help:"How long a query or mutation may take before it is logged as slow. 0: none is logged."`
	OTLPURL       string        `name:"otlp-url" help:"Base URL of an OpenTelemetry collector that takes traces by OTLP over HTTP. Variables of the OpenTelemetry SDK such as OTEL_EXPORTER_OTLP_HEADERS and OTEL_TRACES_SAMPLER apply. Empty: there are no traces." placeholder:"http://collector:4318"`
	Trace         string        `enum:"on,api-key,off" default:"on" help:"Who may send the header X-ConsoleQL-Trace, which asks how an answer was made (${enum}). on: everybody. api-key: holders of API keys. off: nobody."`
}

// Logging are the flags of the log.
type Logging struct {
	LogLevel         string            `enum:"debug,info,warn,error" default:"info" help:"Least level that is logged (${enum})."`
	LogFormat        string            `enum:"auto,json,text" default:"auto" help:"Format of the log on standard error (${enum}). auto: text on a terminal, JSON elsewhere."`
	AccessLog        string            `enum:"on,slow,off" default:"on" help:"Whether the log has a line for each request, whatever its level is (${enum}). slow: only for requests that take as long as --slow-operation, subscriptions excepted."`
	AuditLog         string            `default:"log" help:"Where each mutation is recorded, as lines of JSON. log: the log's stream, whatever its level and format are, with \"log\":\"audit\". off: nowhere. Else a file, which is opened again on SIGHUP." placeholder:"log,off,FILE"`
	AuditClient      string            `enum:"on,off" default:"off" help:"Whether lines of the audit log have the client's address and user agent (${enum})."`
	MetricOperations []string          `help:"Names of GraphQL operations that metrics tell apart, separated by commas; at most 10. All others have the name other." placeholder:"NAME,NAME"`
	TrustedProxies   []string          `help:"Networks of proxies whose X-Forwarded-For is believed, separated by commas. Only --audit-client=on uses them." placeholder:"10.0.0.0/8"`
	Stream           *telemetry.Stream `kong:"-"` // Logger sets it; nil: there is neither an access log nor an audit log
}

// Validate checks what the flags' types cannot. Its error joins all findings, in the order of the flags.
func (s *Settings) Validate() error {
	var all []error
	find := func(err error) {
		if err != nil {
			all = append(all, err)
		}
	}
	must := func(holds bool, text string) {
		if !holds {
			all = append(all, errors.New(text))
		}
	}
	for _, origin := range s.AllowedOrigins {
		find(withFlag("--allowed-origins:", edge.ParseOrigin(origin)))
	}
	find(withFlag("--listen", listenaddress.Check(s.Listen)))
	if s.AdminListen != "" {
		find(withFlag("--admin-listen", listenaddress.Check(s.AdminListen)))
		must(!listenaddress.Same(s.Listen, s.AdminListen), "--listen and --admin-listen are the same address")
	}
	must((s.TLSCertFile == "") == (s.TLSKeyFile == ""), "give both --tls-cert-file and --tls-key-file, or none")
	for _, u := range []struct{ flag, base string }{{"--console-url", s.ConsoleURL}, {"--sso-url", s.SSOURL}, {"--otlp-url", s.OTLPURL}} {
		if u.base != "" || u.flag != "--otlp-url" {
			_, err := consoleclient.ParseBaseURL(u.base)
			find(withFlag(u.flag, err))
		}
	}
	if s.JWKSURL != "" {
		_, err := consoleclient.ParseURL(s.JWKSURL)
		find(withFlag("--jwks-url", err))
	}
	must(s.VerifyTokens == "on" || s.JWKSURL == "" && len(s.TokenIssuers) == 0, "--token-issuers and --jwks-url need --verify-tokens=on")
	must(strings.HasPrefix(s.ConsoleQueueCreatePath, "/"), "--console-queue-create-path must begin with a slash")
	_, err := scope.New(s.CompanyID, s.DepartmentID)
	find(withFlag("--company-id, --department-id:", err))
	must(s.DepartmentID == "" || s.CompanyID != "", "--department-id needs --company-id")
	s.check(must)
	must(s.TrustedDocuments != "" || s.TrustedDocumentsMode == "" || s.TrustedDocumentsMode == "off", "--trusted-documents-mode needs --trusted-documents")
	must(s.MCP != "on" || s.documentsMode() != "", "--mcp needs --trusted-documents")
	must(s.MCP != "on" || !s.Anonymous, "--mcp does not go with --anonymous: agents need credentials")
	must(s.MCP == "on" || len(s.MCPMutations) == 0, "--mcp-mutations needs --mcp")
	must(s.TokenKeys == "" || s.TokenKeysFile == "", "give either --token-keys or --token-keys-file")
	_, err = s.lifetimes()
	find(err)
	must(s.AuditLog != "", "--audit-log is empty: give log, off or a file")
	_, err = s.proxies()
	find(err)
	must(len(s.MetricOperations) <= telemetry.MaxOperationNames, fmt.Sprintf("--metric-operations has more than %d names", telemetry.MaxOperationNames))
	for _, name := range s.MetricOperations {
		must(graphQLName().MatchString(name), fmt.Sprintf("--metric-operations: %q is no name of an operation", name))
	}
	s.checkNumbers(must)
	return errors.Join(all...)
}

func graphQLName() *regexp.Regexp { return regexp.MustCompile(`^[_A-Za-z][_0-9A-Za-z]*$`) }

// withFlag puts a flag before the text of an error; nil stays nil.
func withFlag(flag string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %w", flag, err)
}

// checkNumbers finds numbers that must be positive, or must not be negative, and those whose multiples overflow.
func (s *Settings) checkNumbers(must func(holds bool, text string)) {
	const amount, span = 1 << 40, int64(87600 * time.Hour)
	bounds := map[int64]string{amount: "1099511627776", span: "87600h"}
	for _, n := range []struct {
		flag        string
		value, most int64
	}{
		{"shutdown-timeout", int64(s.ShutdownTimeout), span}, {"idle-timeout", int64(s.IdleTimeout), span},
		{"console-timeout", int64(s.ConsoleTimeout), span}, {"console-write-timeout", int64(s.ConsoleWriteTimeout), span},
		{"console-concurrency", int64(s.ConsoleConcurrency), amount}, {"console-max-response-bytes", s.ConsoleMaxResponseBytes, amount},
		{"operation-concurrency", int64(s.OperationConcurrency), amount},
		{"session-lifetime", int64(s.SessionLifetime), span}, {"idempotency-retention", int64(s.IdempotencyRetention), span},
		{"poll-interval", int64(s.PollInterval), span}, {"max-subscriptions", int64(s.MaxSubscriptions), amount},
		{"max-subscriptions-per-caller", int64(s.MaxSubscriptionsPerCaller), amount}, {"stream-keepalive", int64(s.StreamKeepalive), span},
		{"max-depth", int64(s.MaxDepth), amount}, {"operation-timeout", int64(s.OperationTimeout), span}, {"max-fields", int64(s.MaxFields), amount},
		{"max-console-calls", int64(s.MaxConsoleCalls), amount}, {"max-answer-bytes", int64(s.MaxAnswerBytes), amount},
		{"max-answer-values", int64(s.MaxAnswerValues), amount}, {"max-request-bytes", s.MaxRequestBytes, amount},
		{"max-upload-bytes", s.MaxUploadBytes, amount}, {"upload-timeout", int64(s.UploadTimeout), span}, {"direct-upload-bytes", s.DirectUploadBytes, amount},
		{"cache-bytes", int64(min(s.CacheBytes, amount+1)), amount}, {"answer-bytes", int64(min(s.AnswerBytes, amount+1)), amount},
	} {
		must(n.value > 0, "--"+n.flag+" must be positive")
		must(n.value <= n.most, "--"+n.flag+" must be at most "+bounds[n.most])
	}
	must(s.ShutdownDelay >= 0, "--shutdown-delay must not be negative")
	must(s.SlowOperation >= 0, "--slow-operation must not be negative")
	must(s.Replicas >= 0, "--replicas must not be negative")
	must(!(s.ConsoleRate < 0), "--console-rate must not be negative")
	must(s.ConsoleRate <= 0 || minRate <= s.ConsoleRate && s.ConsoleRate <= maxRate, "--console-rate must be 0, or from 0.01 to 1000000")
}

// The bounds of --console-rate. A call waits no longer than an operation may take, so that a smaller rate refuses all.
const minRate, maxRate = 0.01, 1_000_000

// check finds a service account that is incomplete or configured twice.
func (a Account) check(must func(holds bool, text string)) {
	secret := a.Password != "" || a.PasswordFile != ""
	must(a.Password == "" || a.PasswordFile == "", "give either --password or --password-file")
	must(a.Username != "" || !secret, "a password needs --username")
	must(a.Username == "" || secret, "--username needs --password or --password-file")
	must(a.Username != "" || !a.Anonymous, "--anonymous needs a service account: --username and a password")
}

// password returns the service account's password from either setting.
func (a Account) password() (string, error) {
	if a.PasswordFile == "" {
		return a.Password, nil
	}
	password, err := textfile.Secret(a.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("--password-file: %w", err)
	}
	return password, nil
}

// relations returns the relations of the schema in force.
func (s *Settings) relations() loader.Relations {
	if s.Federation == "on" {
		return relation.FederatedTable()
	}
	return relation.Table()
}

func (s *Settings) loaderOptions(log *slog.Logger) loader.Options {
	def, _ := scope.New(s.CompanyID, s.DepartmentID) // Validate has checked it
	return loader.Options{
		Default:     def,
		Sample:      relation.Sample,
		IDs:         capabilities.IDsMode(s.ConsoleIDs),
		Concurrency: s.OperationConcurrency,
		Calls:       s.MaxConsoleCalls,
		Timeout:     s.OperationTimeout,
		Logger:      log,
	}
}

// runTimeout bounds a mutation with an idempotencyKey: the wait for its turn, its write, and a minute for its token.
func (s *Settings) runTimeout() time.Duration {
	return max(idempotency.DefaultRunTimeout, s.OperationTimeout+s.ConsoleWriteTimeout+time.Minute)
}

func (s *Settings) edgeLimits() querylimit.Limits {
	return querylimit.Limits{
		Depth: s.MaxDepth, Fields: s.MaxFields, AnswerBytes: s.MaxAnswerBytes, AnswerValues: s.MaxAnswerValues, Wait: s.OperationTimeout,
		BodyBytes: s.MaxRequestBytes, UploadBytes: s.MaxUploadBytes, NoIntrospection: s.Introspection == "off",
	}
}

// Logger returns a logger that writes to w by the level and format of the flags. Lines of a request have its id. It opens
// the stream that New uses for other logs; the caller closes Stream.
func (l *Logging) Logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.LogLevel)); err != nil {
		return nil, fmt.Errorf("log level: %w", err)
	}
	var err error
	if l.Stream, err = telemetry.NewStream(w, l.LogFormat); err != nil {
		return nil, err
	}
	return slog.New(accesslog.Handler{Handler: l.Stream.Logger(level)}), nil
}
