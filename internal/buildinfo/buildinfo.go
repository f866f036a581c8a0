// Package buildinfo tells which version of the program runs.
package buildinfo

import (
	"runtime/debug"
	"strings"
)

// version is set by the linker where the build has no version control, as in the container image:
// -ldflags "-X github.com/consoleql/consoleql/internal/buildinfo.version=v1.2.3".
var version string

// Info describes a build.
type Info struct {
	Version  string // a semantic version or pseudo-version, or "(devel)" where the build knows none
	Revision string // the commit, with "+dirty" where files differed from it; empty: unknown
	Go       string // the version of Go
}

// Read returns the build information of the running program.
func Read() Info {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		build = &debug.BuildInfo{}
	}
	return describe(build, version)
}

// describe returns the information of a build. A version of the linker takes precedence.
func describe(build *debug.BuildInfo, linked string) Info {
	info := Info{Version: linked, Go: build.GoVersion}
	for _, s := range build.Settings {
		switch {
		case s.Key == "vcs.revision":
			info.Revision = s.Value + info.Revision
		case s.Key == "vcs.modified" && s.Value == "true":
			info.Revision += "+dirty"
		}
	}
	if info.Version == "" {
		info.Version = build.Main.Version
	}
	if info.Version == "" {
		info.Version = "(devel)"
	}
	return info
}

// String returns the information in one line.
func (i Info) String() string {
	parts := []string{"consoleql", i.Version}
	if i.Revision != "" {
		parts = append(parts, i.Revision)
	}
	return strings.Join(append(parts, i.Go), " ")
}
