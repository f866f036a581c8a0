package consolesim

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Settings are the flags of a simulated console. Their tags name variables for the defaults of Options.
type Settings struct {
	Seed                 uint64        `default:"${seed}" help:"The same seed gives the same data, ids included."`
	Scale                int           `default:"0" help:"Number of workflows in all, for a large console; 0 is a small one made by hand."`
	Irregular            bool          `default:"true" negatable:"" help:"Add what consoles have after some years: packages without workflows, queues without robots, robots without queues or heartbeats, outdated workflows, layouts with deleted workflows, and a department that refuses."`
	Latency              time.Duration `default:"0s" help:"Time added to each call of the simulated console."`
	TokenLifetime        time.Duration `default:"${token_lifetime}" help:"Life of the simulated console's access tokens."`
	PageClamp            int           `default:"${page_clamp}" help:"Largest page that the simulated console serves, in entities."`
	IgnoreIDs            bool          `name:"ignore-ids" help:"Let lists ignore the Ids parameter silently."`
	NoAssociatedRobotIDs bool          `name:"no-associated-robot-ids" help:"Let workflows come without the ids of their robots."`
	Dialect              []string      `enum:"pascal-keys,enum-integers,condition-integers,wrap-single,bare-single,empty-execute,delete-returns-entity,delete-status-ok,expires-in-string,no-extra-fields,correct-spelling" help:"Forms in which the simulated console answers, joined by commas (${enum})."`
}

// Defaults returns the variables of the tags of Settings.
func Defaults() map[string]string {
	return map[string]string{
		"seed":           strconv.Itoa(DefaultSeed),
		"page_clamp":     strconv.Itoa(DefaultPageClamp),
		"token_lifetime": strings.TrimSuffix(DefaultTokenLifetime.String(), "0m0s"),
	}
}

// Validate checks what the flags' types cannot.
func (s Settings) Validate() error {
	switch {
	case s.Scale < 0:
		return errors.New("--scale must not be negative")
	case s.Latency < 0:
		return errors.New("--latency must not be negative")
	case s.TokenLifetime <= 0:
		return errors.New("--token-lifetime must be positive")
	case s.PageClamp <= 0:
		return errors.New("--page-clamp must be positive")
	}
	return nil
}

// Options returns the options of a simulated console with these settings.
func (s Settings) Options() Options {
	return Options{
		Seed:                 s.Seed,
		Scale:                s.Scale,
		Irregular:            s.Irregular,
		Latency:              s.Latency,
		TokenLifetime:        s.TokenLifetime,
		PageClamp:            s.PageClamp,
		NoIDs:                s.IgnoreIDs,
		NoAssociatedRobotIDs: s.NoAssociatedRobotIDs,
		Dialect: Dialect{
			PascalKeys:          slices.Contains(s.Dialect, "pascal-keys"),
			EnumIntegers:        slices.Contains(s.Dialect, "enum-integers"),
			ConditionIntegers:   slices.Contains(s.Dialect, "condition-integers"),
			WrapSingle:          slices.Contains(s.Dialect, "wrap-single"),
			BareSingle:          slices.Contains(s.Dialect, "bare-single"),
			EmptyExecute:        slices.Contains(s.Dialect, "empty-execute"),
			DeleteReturnsEntity: slices.Contains(s.Dialect, "delete-returns-entity"),
			DeleteStatusOK:      slices.Contains(s.Dialect, "delete-status-ok"),
			ExpiresInString:     slices.Contains(s.Dialect, "expires-in-string"),
			NoExtraFields:       slices.Contains(s.Dialect, "no-extra-fields"),
			CorrectSpelling:     slices.Contains(s.Dialect, "correct-spelling"),
		},
	}
}
