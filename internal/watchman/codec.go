package watchman

// A codec appends the fields of a message to b, or reads them from there. The methods of the messages list their
// fields once, for both. Both ends of a connection are processes of the same binary, so the encoding has no versions.
type codec struct {
	b       []byte
	reading bool
	failed  bool // b does not contain what was read
}

// numberSize is the size of an encoded number, which is big endian.
const numberSize = 8

type integer interface {
	~int | ~int32 | ~int64 | ~uint32 | ~uint64 | ~uintptr
}

func number[T integer](c *codec, n *T) {
	if !c.reading {
		for shift := 8 * (numberSize - 1); shift >= 0; shift -= 8 {
			c.b = append(c.b, byte(uint64(*n)>>shift))
		}

		return
	}
	var read uint64
	for _, b := range c.take(numberSize) {
		read = read<<8 | uint64(b)
	}
	*n = T(read)
}

// take returns the next bytes. It returns nothing if there are not as many.
func (c *codec) take(size uint64) (taken []byte) {
	if size > uint64(len(c.b)) {
		c.b, c.failed = nil, true

		return nil
	}
	taken, c.b = c.b[:size], c.b[size:]

	return taken
}

func text[T ~string | ~[]byte](c *codec, s *T) {
	size := len(*s)
	number(c, &size)
	if c.reading {
		*s = T(string(c.take(uint64(size)))) // a copy
	} else {
		c.b = append(c.b, *s...)
	}
}

func flags(c *codec, all ...*bool) {
	for _, f := range all {
		n := 0
		if *f {
			n = 1
		}
		number(c, &n)
		*f = n != 0
	}
}

func list[T any](c *codec, l *[]T, element func(*codec, *T)) {
	size := len(*l)
	number(c, &size)
	if c.reading {
		for *l = nil; size > 0 && !c.failed; size-- {
			var read T
			element(c, &read)
			*l = append(*l, read)
		}

		return
	}
	for i := range *l {
		element(c, &(*l)[i])
	}
}

// optional encodes whether there is a value, and reports it. If it reads that there is one, it allocates it.
func optional[T any](c *codec, p **T) bool {
	is := *p != nil
	flags(c, &is)
	if c.reading && is {
		*p = new(T)
	}

	return is
}

// Encode appends a message to b: its size and its fields.
func Encode(b []byte, m message) []byte {
	at := len(b)
	c := codec{b: append(b, make([]byte, numberSize)...)}
	m.fields(&c)
	size := len(c.b) - at - numberSize
	header := codec{b: c.b[:at]}
	number(&header, &size) // in place

	return c.b
}

// Decode removes the first message from b. It reports false if b does not contain a whole message.
func Decode(b []byte, m message) (rest []byte, ok bool, err error) {
	if len(b) < numberSize {
		return b, false, nil
	}
	header := codec{b: b, reading: true}
	var size uint64
	number(&header, &size)
	if size > maxMessage {
		return b, false, errFrame
	}
	if uint64(len(header.b)) < size {
		return b, false, nil
	}
	c := codec{b: header.b[:size], reading: true}
	m.fields(&c)
	if c.failed || len(c.b) > 0 {
		return b, false, errFrame
	}

	return header.b[size:], true, nil
}
