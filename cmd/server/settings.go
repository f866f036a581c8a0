package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/edge"
	"github.com/consoleql/consoleql/internal/scope"
	"github.com/consoleql/consoleql/internal/textfile"
)

// settings are the gateway's flags and, by the same names, its environment:
// --console-url is CONSOLEQL_CONSOLE_URL. A flag wins over the environment.
type settings struct {
	listeners
	console
	account
	identity
	shared
	caching
	watching
	limits
	tracing
	logging
}

type listeners struct {
	Listen          string        `default:"127.0.0.1:8080" help:"Address of the public listener; port 0 picks one."`
	AdminListen     string        `default:"127.0.0.1:9090" help:"Address of the admin listener (metrics, profiles); empty turns it off."`
	AllowedOrigins  []string      `help:"Origins whose pages may use the gateway from a browser, beside its own, joined by commas." placeholder:"https://dashboards.example"`
	ShutdownDelay   time.Duration `default:"0s" help:"How long the gateway serves on, while /readyz says that it is not ready, when it is told to stop; as long as what sends requests to it takes to notice."`
	ShutdownTimeout time.Duration `default:"15s" help:"How long requests under way may take to end after that."`
}

type console struct {
	ConsoleURL         string        `name:"console-url" default:"https://api.encoo.com" help:"Base URL of the console's API gateway."`
	SSOURL             string        `name:"sso-url" default:"https://auth.encoo.com" help:"Base URL of the console's SSO."`
	ConsoleIDs         string        `name:"console-ids" enum:"auto,on,off" default:"auto" help:"Whether lists of queues, robots and workflows take the Ids parameter (${enum}); auto finds out and looks again every ten minutes."`
	ConsoleTimeout     time.Duration `default:"30s" help:"How long one call of the console may take."`
	ConsoleConcurrency int           `default:"256" help:"Calls of the console under way at once, for the whole gateway."`

	silence                 time.Duration // see transport.Options; tests set it
	ConsoleMaxResponseBytes int64         `default:"67108864" help:"Largest answer of the console that is read, in bytes."`
	ConsoleQueueCreatePath  string        `default:"/openapi/queues/{queueId}" help:"Path to which a new queue is posted; some consoles want /openapi/queues."`
	OperationConcurrency    int           `default:"64" help:"Calls of the console under way at once, for one GraphQL operation."`
	CompanyID               string        `name:"company-id" help:"Company of requests that name none." placeholder:"GUID"`
	DepartmentID            string        `name:"department-id" help:"Department of requests that name none." placeholder:"GUID"`
}

type account struct {
	Username     string `help:"User name of the default service account." placeholder:"NAME"`
	Password     string `help:"Password of the default service account; prefer --password-file." placeholder:"SECRET"`
	PasswordFile string `help:"File that holds the password of the default service account; it is read again when its content changes, as the other files of keys and passwords are, and on SIGHUP." placeholder:"FILE"`
	Anonymous    bool   `default:"false" help:"Let callers without credentials act as the default service account; only for trusted networks."`
}

type identity struct {
	APIKeysFile     string        `name:"api-keys-file" help:"File of API keys, as hashes, and of the service accounts behind them (YAML or JSON); empty: there are none." placeholder:"FILE"`
	VerifyTokens    string        `enum:"off,on" default:"off" help:"Whether callers' console tokens are verified before the console is asked, against the keys that the SSO publishes (${enum}); off leaves that to the console."`
	TokenIssuers    []string      `help:"Issuers whose console tokens are accepted where tokens are verified, joined by commas; empty: the one that the SSO's discovery document names." placeholder:"URL"`
	JWKSURL         string        `name:"jwks-url" help:"Where the SSO publishes its keys, for verifying console tokens; empty: where its discovery document says." placeholder:"URL"`
	SessionLifetime time.Duration `default:"12h" help:"How long a session lasts from its signIn, however much it is used."`
	TokenKeys       string        `help:"Keys that encrypt console tokens in Redis, the newest first: 32 bytes each in base64 or hexadecimal, joined by commas. Without one, tokens and sessions stay in the memory of each process. Prefer --token-keys-file." placeholder:"SECRET"`
	TokenKeysFile   string        `help:"File that holds the token keys, joined by commas or line breaks." placeholder:"FILE"`
}

type shared struct {
	RedisURL             string        `name:"redis-url" help:"Redis in which replicas share state: redis:// or rediss://, with ?master_name= for Sentinel, with ?addr= for a Cluster; empty: memory only." placeholder:"URL"`
	IdempotencyRetention time.Duration `default:"24h" help:"How long the outcome of a mutation with an idempotencyKey is kept."`
}

type watching struct {
	PollInterval     time.Duration `default:"2s" help:"Time from one look at the console to the next, for each thing that subscriptions watch."`
	MaxSubscriptions int           `default:"10000" help:"Subscriptions under way at once, for the whole gateway."`
	StreamKeepalive  time.Duration `default:"15s" help:"How often a quiet WebSocket is pinged and a quiet event stream gets a comment; less than what proxies on the way close idle connections after."`
}

type limits struct {
	MaxDepth          int           `default:"15" help:"How many fields may nest in an operation."`
	MaxFields         int           `default:"500" help:"How many fields of one object an operation may select, those of its fragments included."`
	MaxConsoleCalls   int           `default:"2000" help:"Calls of the console that one operation, or one event of a subscription, may make; reads that a cache answers count, too. The keys file may set another number for a key."`
	MaxAnswerBytes    int           `default:"16777216" help:"Largest data of an answer, in bytes of JSON."`
	MaxAnswerValues   int           `default:"500000" help:"How many objects, lists and scalars an answer may hold."`
	MaxComplexity     string        `help:"Ignored, and accepted for one release: what an operation uses is counted as it runs (--max-console-calls, --max-answer-bytes, --max-answer-values)." placeholder:"NUMBER"`
	MaxRequestBytes   int64         `default:"1048576" help:"Largest body of a GraphQL request, in bytes."`
	MaxUploadBytes    int64         `default:"4294967296" help:"Largest request that carries a file, in bytes."`
	UploadTimeout     time.Duration `default:"1h" help:"How long one file may take on its way to the console or its storage."`
	DirectUploadBytes int64         `default:"209715200" help:"Largest upload that is sent straight to the console, in bytes; larger ones go through its upload channel."`
}

type tracing struct {
	SlowOperation time.Duration `default:"5s" help:"How long a query or mutation may take before it is logged as slow; 0: for ever."`
	OTLPURL       string        `name:"otlp-url" help:"Base URL of an OpenTelemetry collector that takes traces by OTLP over HTTP; empty: none are made. The variables OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER and their like hold, too." placeholder:"http://collector:4318"`
	Trace         string        `enum:"on,api-key,off" default:"on" help:"Who may send the header X-ConsoleQL-Trace, which asks how an answer came about (${enum}); api-key: holders of API keys only."`
}

type logging struct {
	LogLevel  string `enum:"debug,info,warn,error" default:"info" help:"Least level that is logged (${enum})."`
	LogFormat string `enum:"auto,json,text" default:"auto" help:"Format of the log on standard error (${enum}); auto is text on a terminal, JSON elsewhere."`
}

// Validate checks what the types of the flags cannot.
func (s *settings) Validate() error {
	if _, err := scope.New(s.CompanyID, s.DepartmentID); err != nil {
		return err
	}
	if s.DepartmentID != "" && s.CompanyID == "" {
		return errors.New("--department-id needs --company-id")
	}
	for _, origin := range s.AllowedOrigins {
		if err := edge.ParseOrigin(origin); err != nil {
			return fmt.Errorf("--allowed-origins: %w", err)
		}
	}
	for name, base := range map[string]string{"console-url": s.ConsoleURL, "sso-url": s.SSOURL} {
		if _, err := consoleclient.ParseBaseURL(base); err != nil {
			return fmt.Errorf("--%s %w", name, err)
		}
	}
	if s.OTLPURL != "" {
		if _, err := consoleclient.ParseBaseURL(s.OTLPURL); err != nil {
			return fmt.Errorf("--otlp-url %w", err)
		}
	}
	if s.SlowOperation < 0 {
		return errors.New("--slow-operation must not be negative")
	}
	if !strings.HasPrefix(s.ConsoleQueueCreatePath, "/") {
		return errors.New("--console-queue-create-path must begin with a slash")
	}
	if _, err := s.lifetimes(); err != nil {
		return err
	}
	if s.CacheBytes == 0 || s.AnswerBytes == 0 {
		return errors.New("--cache-bytes and --answer-bytes must be positive")
	}
	if err := s.check(); err != nil {
		return err
	}
	if s.ShutdownDelay < 0 {
		return errors.New("--shutdown-delay must not be negative")
	}
	if s.TokenKeys != "" && s.TokenKeysFile != "" {
		return errors.New("give either --token-keys or --token-keys-file")
	}
	return s.checkPositive()
}

// checkPositive refuses a setting that has to be positive and is not.
func (s *settings) checkPositive() error {
	for name, n := range map[string]int64{
		"session-lifetime": int64(s.SessionLifetime), "console-concurrency": int64(s.ConsoleConcurrency), "operation-concurrency": int64(s.OperationConcurrency),
		"console-max-response-bytes": s.ConsoleMaxResponseBytes, "max-depth": int64(s.MaxDepth),
		"max-fields": int64(s.MaxFields), "max-console-calls": int64(s.MaxConsoleCalls), "max-answer-bytes": int64(s.MaxAnswerBytes), "max-answer-values": int64(s.MaxAnswerValues),
		"max-request-bytes": s.MaxRequestBytes, "max-upload-bytes": s.MaxUploadBytes, "direct-upload-bytes": s.DirectUploadBytes,
		"poll-interval": int64(s.PollInterval), "max-subscriptions": int64(s.MaxSubscriptions), "stream-keepalive": int64(s.StreamKeepalive),
		"console-timeout": int64(s.ConsoleTimeout), "idempotency-retention": int64(s.IdempotencyRetention), "shutdown-timeout": int64(s.ShutdownTimeout), "upload-timeout": int64(s.UploadTimeout),
	} {
		if n <= 0 {
			return fmt.Errorf("--%s must be positive", name)
		}
	}
	return nil
}

// check refuses a service account that is incomplete or given twice.
func (a account) check() error {
	switch {
	case a.Password != "" && a.PasswordFile != "":
		return errors.New("give either --password or --password-file")
	case a.Username == "" && (a.Password != "" || a.PasswordFile != ""):
		return errors.New("a password needs --username")
	case a.Anonymous && a.Username == "":
		return errors.New("--anonymous needs a service account: --username and a password")
	}
	return nil
}

// password is the service account's, wherever it is configured.
func (a account) password() (string, error) {
	if a.PasswordFile == "" {
		return a.Password, nil
	}
	password, err := textfile.Secret(a.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("--password-file: %w", err)
	}
	return password, nil
}

func (s *settings) loaderOptions(log *slog.Logger) loader.Options {
	def, _ := scope.New(s.CompanyID, s.DepartmentID) // checked by Validate
	return loader.Options{
		Default:     def,
		IDs:         loader.IDsMode(s.ConsoleIDs),
		Concurrency: s.OperationConcurrency,
		Calls:       s.MaxConsoleCalls,
		Logger:      log,
	}
}

func (s *settings) edgeLimits() edge.Limits {
	return edge.Limits{
		Depth: s.MaxDepth, Fields: s.MaxFields, AnswerBytes: s.MaxAnswerBytes, AnswerValues: s.MaxAnswerValues,
		BodyBytes: s.MaxRequestBytes, UploadBytes: s.MaxUploadBytes,
	}
}
