package store

// Health is implemented by a Store that depends on something that may be out of reach.
type Health interface {
	// Ready returns why the store cannot be used now, or nil. It does not wait.
	Ready() error
}
