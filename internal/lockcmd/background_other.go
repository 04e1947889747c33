//go:build !unix

package lockcmd

import (
	"context"
	"errors"
)

var errNoBackground = errors.New("--pid and --release do not work on this system")

func (l *locker) background(context.Context) error { return errNoBackground }

func (l *locker) releaseHolder(context.Context) error { return errNoBackground }
