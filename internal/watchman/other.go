//go:build !unix

package watchman

import "syscall"

// Selected reports false: this system has no guards.
func Selected() bool { return false }

func waitStatus(c *codec, s *syscall.WaitStatus) { number(c, &s.ExitCode) }
