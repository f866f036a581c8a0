package gateway

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/graph/subscription"
	"github.com/consoleql/consoleql/internal/cachedconsole"
	"github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/consoleclient/admission"
	"github.com/consoleql/consoleql/internal/edge"
	"github.com/consoleql/consoleql/internal/edge/querylimit"
	"github.com/consoleql/consoleql/internal/idempotency"
	"github.com/consoleql/consoleql/internal/operationcache"
	"github.com/consoleql/consoleql/internal/responsecache"
	"github.com/consoleql/consoleql/internal/tokencache"
)

// Defaults returns the variables of the tags of Settings: the defaults of other packages, by the names of the flags with
// underscores. Those of lifetimes are for the help of their flags.
func Defaults() kong.Vars {
	vars := make(kong.Vars)
	for name, value := range map[string]any{
		"answer_bytes":                 operationcache.DefaultMaxBytes,
		"cache_bytes":                  responsecache.DefaultMaxBytes,
		"console_concurrency":          admission.DefaultConcurrency,
		"console_max_response_bytes":   consoleclient.DefaultMaxResponseBytes,
		"console_queue_create_path":    consoleclient.DefaultQueueCreatePath,
		"console_timeout":              consoleclient.DefaultTimeout,
		"console_write_timeout":        consoleclient.DefaultWriteTimeout,
		"idempotency_retention":        idempotency.DefaultRetention,
		"listen":                       "127.0.0.1:8080", // of healthcheck, too
		"max_answer_bytes":             querylimit.DefaultAnswerBytes,
		"max_answer_values":            querylimit.DefaultAnswerValues,
		"max_console_calls":            loader.DefaultCalls,
		"max_depth":                    querylimit.DefaultDepth,
		"max_fields":                   querylimit.DefaultFields,
		"max_request_bytes":            querylimit.DefaultBodyBytes,
		"max_subscriptions":            subscription.DefaultMaxSubscriptions,
		"max_subscriptions_per_caller": subscription.DefaultMaxPerCaller,
		"max_upload_bytes":             querylimit.DefaultUploadBytes,
		"operation_concurrency":        loader.DefaultConcurrency,
		"operation_timeout":            querylimit.DefaultWait,
		"poll_interval":                subscription.DefaultInterval,
		"session_lifetime":             tokencache.DefaultSessionLifetime,
		"stream_keepalive":             edge.DefaultKeepalive,
		"upload_timeout":               consoleclient.DefaultUploadTimeout,
	} {
		if d, ok := value.(time.Duration); ok {
			value = FormatDuration(d)
		}
		vars[name] = fmt.Sprint(value)
	}
	lifetimes := cachedconsole.DefaultLifetimes()
	kinds := make([]string, 0, len(lifetimes))
	for _, k := range cachedconsole.Kinds() {
		if k.Note != "" {
			k.Name += " (" + k.Note + ")"
		}
		kinds = append(kinds, k.Name)
	}
	var withIDs []string
	for _, l := range cachedconsole.Lists() {
		if l.TakesIDs {
			withIDs = append(withIDs, l.Kind)
		}
	}
	vars["kinds"], vars["lists_with_ids"] = strings.Join(kinds, ", "), strings.Join(withIDs, ", ")
	for _, setting := range (Caching{}).lifetimeSettings() {
		words := make([]string, 0, len(lifetimes))
		for _, kind := range slices.Sorted(maps.Keys(lifetimes)) {
			policy := lifetimes[kind]
			words = append(words, kind+"="+FormatDuration(*setting.field(&policy)))
		}
		vars[strings.ReplaceAll(setting.setting, "-", "_")] = strings.Join(words, ", ")
	}
	return vars
}

// DefaultSettings returns the settings of a gateway without flags.
func DefaultSettings() (*Settings, error) {
	s := &Settings{}
	if err := kong.ApplyDefaults(s, Defaults()); err != nil {
		return nil, fmt.Errorf("the default settings: %w", err)
	}
	return s, nil
}
