//go:build !unix

package guard

import "context"

// Selected reports false: this system has no guards.
func Selected() bool { return false }

// Main does nothing: this system has no guards.
func Main() int { return 1 }

// Own does nothing: this system has no guards.
func Own(context.Context) {}
