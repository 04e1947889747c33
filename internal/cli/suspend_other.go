//go:build !unix

package cli

// handle does nothing, because this system has no SIGTSTP.
func (*Stops) handle() {}

// StopSelf does nothing, because this system has no SIGTSTP.
func StopSelf() {}

// StopGroup does nothing, because this system has no SIGTSTP.
func StopGroup() {}
