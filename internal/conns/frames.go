package conns

import "encoding/binary"

// Types and flags of HTTP/2 frames (RFC 9113, section 6).
const (
	frameData    = 0x0
	frameHeaders = 0x1
	frameReset   = 0x3

	flagEndStream = 0x1
	flagPadded    = 0x8

	frameHeaderSize = 9
)

// frame is the header of a frame.
type frame struct {
	kind, flags byte
	stream      uint32
	length      int
}

// frameHandler is told of the frames that pass.
type frameHandler interface {
	begin(f frame)
	payload(f frame, part []byte) // is called for each part of the payload
	end(f frame)
}

// scanner finds the frames in the bytes that pass in one direction of a connection, after the preface.
type scanner struct {
	to    frameHandler
	head  [frameHeaderSize]byte
	have  int // bytes of head
	left  int // bytes of the payload of the frame
	frame frame
}

// scan processes the next bytes.
func (s *scanner) scan(b []byte) {
	for len(b) > 0 {
		if s.have < frameHeaderSize {
			n := copy(s.head[s.have:], b)
			s.have += n
			b = b[n:]
			if s.have < frameHeaderSize {
				return
			}
			h := s.head
			s.frame = frame{
				kind: h[3], flags: h[4],
				length: int(h[0])<<16 | int(h[1])<<8 | int(h[2]),
				stream: binary.BigEndian.Uint32(h[5:]) & (1<<31 - 1),
			}
			s.left = s.frame.length
			s.to.begin(s.frame)
		}
		if n := min(s.left, len(b)); n > 0 {
			s.to.payload(s.frame, b[:n])
			s.left -= n
			b = b[n:]
		}
		if s.left == 0 {
			s.to.end(s.frame)
			s.have = 0
		}
	}
}
