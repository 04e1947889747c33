//go:build unix && !linux

package watchman

import "syscall"

// openProcess returns -1: a process has no descriptor on this system.
func openProcess(int) int { return -1 }

func processEnded(int) bool { return false }

func signalProcess(int, syscall.Signal) error { return syscall.ENOSYS }

// await returns when the process has ended.
func (w *Watched) await() { w.poll() }
