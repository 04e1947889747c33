package codec

import (
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// A cursor reads the fields of a message. It fails at what package proto would refuse, and at what this package does
// not know.
type cursor struct {
	rest   []byte
	failed bool
	kept   int // size of the whole message if what is read may be a part of it; otherwise 0
}

// only returns the tag of the only field of a message, and a cursor for the message that this field contains.
func only(b []byte) (tag byte, part cursor, ok bool) {
	c := cursor{rest: b}
	if !c.next() {
		return 0, cursor{}, false
	}
	tag = c.tag()
	part.rest = c.part()

	return tag, part, !c.next() && c.ok()
}

// next reports whether there is another field.
func (c *cursor) next() bool { return len(c.rest) > 0 }

// ok reports whether the message has been read.
func (c *cursor) ok() bool { return !c.failed }

func (c *cursor) fail() { c.rest, c.failed = nil, true }

// tag reads the first byte of the tag of a field. The tags of the fields that this package knows have only one.
func (c *cursor) tag() byte {
	t := c.rest[0]
	c.rest = c.rest[1:]

	return t
}

func (c *cursor) number() uint64 {
	v, n := protowire.ConsumeVarint(c.rest)
	if n < 0 {
		c.fail()

		return 0
	}
	c.rest = c.rest[n:]

	return v
}

func (c *cursor) bool() bool { return c.number() != 0 }

// part reads text, data or a message. The result is part of the encoded message.
func (c *cursor) part() []byte {
	v, n := protowire.ConsumeBytes(c.rest)
	if n < 0 {
		c.fail()

		return nil
	}
	c.rest = c.rest[n:]

	return v
}

// data reads data. It returns nil if the data is empty, as package proto does. The data is a part of the message only
// if it is most of it, because it keeps all of the message in memory.
func (c *cursor) data() []byte {
	part := c.part()
	if c.kept > 0 && len(part) > c.kept/2 {
		return slices.Clip(part)
	}

	return append([]byte(nil), part...)
}

// text reads a text. If it equals old, which must be valid UTF-8, it returns old.
func (c *cursor) text(old string) string {
	v := c.part()
	if string(v) == old {
		return old
	}
	if !utf8.Valid(v) {
		c.fail()

		return ""
	}

	return string(v)
}
