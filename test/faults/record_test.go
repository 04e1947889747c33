//go:build linux

package faults

import "tenure/internal/witnesstest"

type line = witnesstest.Line

const (
	begin   = witnesstest.Begin
	works   = witnesstest.Works
	end     = witnesstest.End
	crowded = witnesstest.Crowded
)
