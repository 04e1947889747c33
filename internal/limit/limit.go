// Package limit holds the limits of the protocol that both the client and its users check before they send a request.
package limit

import "time"

// Session timeouts: the default of the library and the commands, and the range that the protocol allows (A4).
const (
	DefaultTimeout = 10 * time.Second
	MinTimeout     = 100 * time.Millisecond
	MaxTimeout     = 30 * time.Minute
)

// Sizes in bytes.
const (
	Name        = 1 << 10 // of a semaphore's name (Q4)
	Data        = 1 << 20 // of a semaphore's or an owner's data (Q1, S1)
	Description = 1 << 10 // of a session's description (A4)

	ProtectionKey = 16 // of a session's protection key (A4)

	// Request is the largest request that a server has to read (D3): the default of gRPC.
	Request = 4 << 20
)
