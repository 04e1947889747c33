//go:build !linux

package main

import (
	"context"
	"os/exec"
)

// contain returns a command that is an ordinary process, because only Linux has containers.
func (s *stage) contain(ctx context.Context, dir string, argv []string) *exec.Cmd {
	return s.command(ctx, dir, argv[0], argv[1:]...)
}
