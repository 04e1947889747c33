//go:build !unix

package cli

import "os"

func trusted(*os.File) error { return nil }
