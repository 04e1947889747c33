package codec

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// The tags of the fields that this package knows. A tag is the number of a field, shifted left by three, and the type
// of its encoding: 0 is a number, and 2 is text, data or a message. All of them have one byte.
const (
	number = 0
	sized  = 2
)

// appendNumber appends a field that contains a number, unless that is 0.
func appendNumber(b []byte, field byte, v uint64) []byte {
	if v == 0 {
		return b
	}

	return protowire.AppendVarint(append(b, field<<3|number), v)
}

func appendBool(b []byte, field byte, v bool) []byte {
	if !v {
		return b
	}

	return append(b, field<<3|number, 1)
}

// appendText appends a field that contains a text or data, unless that is empty.
func appendText[T string | []byte](b []byte, field byte, v T) []byte {
	if len(v) == 0 {
		return b
	}

	return append(protowire.AppendVarint(append(b, field<<3|sized), uint64(len(v))), v...)
}

// open starts a field that contains a message. The caller appends the message, and then calls shut.
func open(b []byte, field byte) []byte { return append(b, field<<3|sized, 0) }

// shut writes the length of the message that starts at the offset. It moves the message if the length does not fit into
// the byte that open has reserved.
func shut(b []byte, start int) []byte {
	n := len(b) - start
	if more := protowire.SizeVarint(uint64(n)) - 1; more > 0 {
		b = append(b, make([]byte, more)...)
		copy(b[start+more:], b[start:start+n])
	}
	protowire.AppendVarint(b[:start-1], uint64(n))

	return b
}

// plain reports whether a message has only the fields that this package knows.
func plain(m proto.Message) bool { return len(m.ProtoReflect().GetUnknown()) == 0 }

// valid reports whether package proto encodes the text.
func valid(text string) bool { return utf8.ValidString(text) }
