package server

// storeError is the failure of a commit. The content of the store is unknown until it is opened again.
type storeError struct{ error }

func (e *storeError) Unwrap() error { return e.error }
