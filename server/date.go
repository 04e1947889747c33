package server

import (
	"time"

	"tenure/internal/clock"
)

// datePeriod is the time for which an owner trusts what it knows of the wall clock, which people may set.
const datePeriod = time.Second

// dates tells the date of instants. It asks the wall clock once a second, so a date costs an addition.
type dates struct {
	at   clock.Instant // zero: it has not asked yet
	base int64         // the date of at, in ms since 1970
}

// of returns the date of an instant in milliseconds since 1970, or 0 if that is before 1970.
func (d *dates) of(c clock.Clock, now clock.Instant) uint64 {
	if d.at == 0 || now.Sub(d.at) >= datePeriod {
		d.at, d.base = now, c.Time(now).UnixMilli()
	}

	return uint64(max(0, d.base+now.Sub(d.at).Milliseconds()))
}
