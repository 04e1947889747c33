// Package version reports the version of the tenure module.
package version

import (
	"runtime/debug"
	"sync"
)

// module is the path of the module whose version String reports. It is either the main module of the program or one of
// its dependencies.
const module = "tenure"

// released is the version of a package, which the linker sets; otherwise it is empty.
var released string

// String returns the version of the module, such as "v0.4.0". For a program that was built from a checkout, it returns
// the start of the commit hash, such as "devel 0123456789ab", or just "devel" if the commit is unknown.
func String() string { return built() }

var built = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	switch {
	case released != "":
		return released
	case !ok:
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
