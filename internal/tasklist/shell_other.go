//go:build !unix

package tasklist

import (
	"context"
	"errors"
	"io"
)

func runShell(context.Context, string, io.Writer, io.Writer) error {
	return errors.New("this system has no /bin/sh")
}
