//go:build !unix

package doctor

// OpenFiles returns 0: this system does not tell how many files a process may open.
func OpenFiles() uint64 { return 0 }
