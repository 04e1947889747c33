package node

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzDecode decodes arbitrary bytes as an arbitrary sequence of fields. If a value decodes completely, encoding the
// same fields must give the same bytes: each record has exactly one encoding, so no record has two readings.
//
//	go test -run '^$' -fuzz FuzzDecode ./internal/node
func FuzzDecode(f *testing.F) {
	f.Add([]byte("c"), []byte{3, 0xca, 0x01, 0xcc, 0x01}, "nnn")
	f.Add([]byte("m00000000"), []byte{3, 'j', 'o', 'b', 1, 0, 0}, "snnb")
	f.Add([]byte("s00000000"), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0, 0}, "nss")
	f.Add([]byte("c"), []byte{0x80, 0x00}, "n")                                                      // not the shortest
	f.Add([]byte("c"), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, "n")      // above 2^64-1
	f.Add([]byte("c"), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 'x'}, "s") // length 2^64-1
	f.Add([]byte("c"), []byte{}, "n")
	f.Fuzz(func(t *testing.T, key, fields []byte, shape string) {
		sealed := (&encoder{key: key, value: append([]byte(nil), fields...)}).done()
		d, e := decode(Record{key, sealed}), encoder{key: key}
		for _, kind := range shape {
			switch kind {
			case 'n':
				e.uint(d.uint())
			case 's':
				e.string(d.string())
			case 'b':
				e.bytes(d.bytes())
			}
		}
		if err := d.end(); err != nil {
			require.ErrorIs(t, err, ErrDamaged)

			return
		}
		require.Equal(t, sealed, e.done())
	})
}

// TestDecode_Copies checks that decoded fields do not share memory with the record, since stores may reuse their
// slices.
func TestDecode_Copies(t *testing.T) {
	t.Parallel()
	value := (&encoder{key: []byte("k")}).bytes([]byte("mine")).string("too").done()
	d := decode(Record{[]byte("k"), value})
	b, s := d.bytes(), d.string()
	require.NoError(t, d.end())
	clear(value)
	require.Equal(t, "mine", string(b))
	require.Equal(t, "too", s)
}
