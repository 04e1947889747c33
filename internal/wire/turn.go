package wire

import (
	"google.golang.org/grpc/mem"

	"tenure/internal/codec"
	"tenure/internal/turns"
)

// Unmarshal decodes a message. Only a [codec.Raw] keeps a reference to data. A large message is decoded when it is its
// turn. Later messages of the same stream wait for it, those of other streams do not.
func (c Codec) Unmarshal(data mem.BufferSlice, v any) error {
	if _, raw := v.(*codec.Raw); !raw && data.Len() >= turns.Large && c.turns.Take() {
		defer c.turns.Give()
	}

	return c.Codec.Unmarshal(data, v)
}
