package node

import "time"

// Limits of the protocol.
const (
	// Forever is the timeout of an acquire that waits without limit (Q1).
	Forever = 1<<64 - 1

	maxSessions        = 1_000_000  // A5
	maxSemaphores      = 1_000_000  // Q4
	maxSessionTimeout  = 1_800_000  // ms, A4
	maxAcquireTimeout  = 86_400_000 // ms, Q1
	maxDescriptionSize = 1_024      // bytes, A4
	maxKeySize         = 16         // bytes, A4
	maxNameSize        = 1_024      // bytes, Q4
	maxDataSize        = 1 << 20    // bytes, Q1, S1
	maxSemaphoreLimit  = 1<<64 - 1  // the limit of ephemeral semaphores, Q4
	maxAnswer          = 64 << 20   // bytes of a description; no client accepts a larger message, D3
)

// Config holds the settings of a node. The periods are as they were given: zero means the default (N5).
type Config struct {
	SelfCheckPeriodMillis    uint32
	SessionGracePeriodMillis uint32

	Above  uint64 // ids of sessions and order ids of a node without records are above this
	Frozen bool   // grant nothing until Thaw; sound only if no link in the records is an owner
}

// Grace returns how long, beyond its timeout, a session has to come back after a restart (A13). The result is within
// the ranges of N5.
func (c Config) Grace() time.Duration {
	selfCheck := clamp(or(c.SelfCheckPeriodMillis, 1_000), 500, 10_000)
	grace := clamp(or(c.SessionGracePeriodMillis, 10_000), selfCheck+1_000, 30_000)

	return millis(uint64(grace))
}

func or(v, def uint32) uint32 {
	if v == 0 {
		return def
	}

	return v
}

func clamp(v, low, high uint32) uint32 { return min(max(v, low), high) }

// millis converts milliseconds to a duration. The caller has checked ms against a limit of the protocol, so the
// multiplication does not overflow.
func millis(ms uint64) time.Duration { return time.Duration(ms) * time.Millisecond }
