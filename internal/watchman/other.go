//go:build !unix

package watchman

// Selected reports false: this system has no guards.
func Selected() bool { return false }
