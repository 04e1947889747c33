//go:build !unix

package certs

import "os"

func openFile(path string) (*os.File, error) { return os.Open(path) }

// ownedByRoot is true where modes say nothing about other users.
func ownedByRoot(os.FileInfo) bool { return true }
