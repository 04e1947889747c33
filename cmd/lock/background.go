package main

import (
	"context"
	"errors"
)

func (l *locker) background(context.Context) error    { return errors.New("not yet") }
func (l *locker) releaseHolder(context.Context) error { return errors.New("not yet") }
