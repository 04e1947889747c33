package version

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOf(t *testing.T) {
	t.Parallel()
	commit := []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "0123456789abcdef"}}
	program := func(v string, settings ...debug.BuildSetting) debug.BuildInfo {
		return debug.BuildInfo{Main: debug.Module{Path: "tenure", Version: v}, Settings: settings}
	}
	library := func(replace *debug.Module) debug.BuildInfo {
		return debug.BuildInfo{
			Main: debug.Module{Path: "example.com/app", Version: "v7.0.0"},
			Deps: []*debug.Module{
				{Path: "example.com/tenure", Version: "v9.0.0"}, {Path: "tenure", Version: "v0.4.1", Replace: replace},
			},
			Settings: commit,
		}
	}
	for name, test := range map[string]struct {
		info debug.BuildInfo
		want string
	}{
		"released":                {program("v0.4.0", commit...), "v0.4.0"},
		"built from a checkout":   {program("(devel)", commit...), "devel 0123456789ab"},
		"unknown version":         {program(""), "devel"},
		"dependency":              {library(nil), "v0.4.1"},
		"replaced dependency":     {library(&debug.Module{Path: "fork", Version: "v0.5.0"}), "v0.5.0"},
		"dependency in directory": {library(&debug.Module{Path: "../tenure"}), "devel"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, of(&test.info))
		})
	}
}

func TestString(t *testing.T) {
	t.Parallel()
	require.NotEmpty(t, String())
}
