package buildinfo

import (
	"runtime/debug"
	"testing"
)

func TestInfo(t *testing.T) {
	t.Parallel()
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "e8af89d"}
	for name, tt := range map[string]struct {
		build  debug.BuildInfo
		linked string
		want   string
	}{
		"nothing known":  {debug.BuildInfo{GoVersion: "go1.27.3"}, "", "consoleql (devel) go1.27.3"},
		"tagged":         {debug.BuildInfo{GoVersion: "go1.27.3", Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{revision}}, "", "consoleql v1.2.3 e8af89d go1.27.3"},
		"changed files":  {debug.BuildInfo{GoVersion: "go1.27.3", Main: debug.Module{Version: "(devel)"}, Settings: []debug.BuildSetting{revision, {Key: "vcs.modified", Value: "true"}}}, "", "consoleql (devel) e8af89d+dirty go1.27.3"},
		"of an image":    {debug.BuildInfo{GoVersion: "go1.27.3", Main: debug.Module{Version: "(devel)"}}, "v1.2.3-4-ge8af89d", "consoleql v1.2.3-4-ge8af89d go1.27.3"},
		"other settings": {debug.BuildInfo{GoVersion: "go1.27.3", Settings: []debug.BuildSetting{{Key: "CGO_ENABLED", Value: "0"}, {Key: "vcs.modified", Value: "false"}}}, "", "consoleql (devel) go1.27.3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := describe(&tt.build, tt.linked).String(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
