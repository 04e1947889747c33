// Package version tells which version of tenure this is.
package version

import (
	"runtime/debug"
	"sync"
)

// module is the path of the module whose version is told, be it the program's own or a library in another one.
const module = "tenure"

// String returns the module's version, e.g. v0.4.0; of what is built from a checkout the commit's first digits, e.g.
// devel 0123456789ab, or devel if even that is not known.
func String() string { return built() }

var built = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}

	return of(info)
})

func of(info *debug.BuildInfo) string {
	main := info.Main.Path == module
	v := info.Main.Version
	for _, dep := range info.Deps {
		if !main && dep.Path == module {
			if dep.Replace != nil {
				dep = dep.Replace
			}
			v = dep.Version
		}
	}
	if v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if main && s.Key == "vcs.revision" {
			return "devel " + s.Value[:min(12, len(s.Value))]
		}
	}

	return "devel"
}
