//go:build !unix

package trust

// Path returns nil: on this system, the mode of a directory says nothing about other users.
func Path(string, ...int) error { return nil }

// Us reports true: this system does not tell the user of a peer.
func Us(int) bool { return true }

// Keep does nothing on this system.
func Keep(string, string) (tightened bool, err error) { return false, nil }
