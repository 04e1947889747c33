//go:build unix

package watchman

import "syscall"

func waitStatus(c *codec, s *syscall.WaitStatus) { number(c, s) }
