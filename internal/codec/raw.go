package codec

import "google.golang.org/grpc/mem"

// Raw is a message that is passed on as it is. RecvMsg sets Data, which the receiver must free or send. SendMsg takes
// over Data, and may use it for some time after it has returned.
type Raw struct{ Data mem.BufferSlice }

// take keeps the data of a message that has arrived.
func (r *Raw) take(data mem.BufferSlice) error {
	data.Ref()
	r.Data = data

	return nil
}
