package codec_test

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	"tenure/internal/codec"
)

// The oracle is gRPC's own codec, which uses reflection.
var oracle = encoding.GetCodecV2("proto")

// kinds are the two messages of a stream, and the values that receive several of them.
func kinds() map[string]func() (m proto.Message, reused func() (into any, message proto.Message)) {
	return map[string]func() (proto.Message, func() (any, proto.Message)){
		"request": func() (proto.Message, func() (any, proto.Message)) {
			r := new(codec.Request)

			return &pb.SessionRequest{}, func() (any, proto.Message) { return r, &r.Message }
		},
		"incoming": func() (proto.Message, func() (any, proto.Message)) {
			in := new(codec.Incoming)

			return &pb.SessionRequest{}, func() (any, proto.Message) { return in, current{in} }
		},
		"forgotten": func() (proto.Message, func() (any, proto.Message)) {
			in := new(codec.Incoming)

			return &pb.SessionRequest{}, func() (any, proto.Message) {
				in.Forget()

				return in, current{in}
			}
		},
		"response": func() (proto.Message, func() (any, proto.Message)) {
			r := new(codec.Response)

			return &pb.SessionResponse{}, func() (any, proto.Message) { return r, &r.Message }
		},
	}
}

// current is the last message of an Incoming.
type current struct{ in *codec.Incoming }

// ProtoReflect implements proto.Message.
func (c current) ProtoReflect() protoreflect.Message { return c.in.Message().ProtoReflect() }

// Both codecs encode any message to the same bytes, or refuse it.
func TestMarshal(t *testing.T) {
	t.Parallel()
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				m, _ := kind()
				fill(t, m.ProtoReflect(), 3)
				sameBytes(t, m)
			})
		})
	}
}

// Both codecs decode any bytes to the same message, or refuse them. So does a value that is reused.
func TestUnmarshal(t *testing.T) {
	t.Parallel()
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				m, reused := kind()
				for range rapid.IntRange(1, 4).Draw(t, "messages") {
					sameMessage(t, encoded(t, m), m, reused)
				}
			})
		})
	}
}

// These messages are at the edges of what the codec handles itself.
func TestSeeds(t *testing.T) {
	t.Parallel()
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, reused := kind()
			for _, b := range seeds() {
				sameMessage(t, b, m, reused)
			}
			long := make([]byte, 1<<21)
			for _, size := range []int{1, 100, 120, 126, 127, 128, 129, 1 << 10, 1<<14 - 12, 1 << 14, 1 << 20, 1 << 21} {
				sameBytes(t, &pb.SessionRequest{Request: &pb.SessionRequest_AcquireSemaphore_{
					AcquireSemaphore: &pb.SessionRequest_AcquireSemaphore{ReqId: 7, Data: long[:size]},
				}})
			}
		})
	}
	for _, m := range []proto.Message{
		(*pb.SessionRequest)(nil), &pb.SessionRequest{}, &pb.SessionResponse{},
		&pb.SessionRequest{Request: &pb.SessionRequest_AcquireSemaphore_{}},
		&pb.SessionResponse{Response: &pb.SessionResponse_Ping{}},
		result(Ydb.StatusIds_SUCCESS), result(-1), result(0),
		result(Ydb.StatusIds_BAD_REQUEST, &Ydb_Issue.IssueMessage{Message: "no", Severity: 1}),
		&pb.CreateNodeRequest{Path: "/local"},
	} {
		sameBytes(t, m)
	}
}

// withData returns the requests that carry data.
func withData(data []byte) []*pb.SessionRequest {
	return []*pb.SessionRequest{
		{Request: &pb.SessionRequest_AcquireSemaphore_{
			AcquireSemaphore: &pb.SessionRequest_AcquireSemaphore{ReqId: 7, Name: "a", Count: 1, Data: data},
		}},
		{Request: &pb.SessionRequest_CreateSemaphore_{
			CreateSemaphore: &pb.SessionRequest_CreateSemaphore{ReqId: 7, Name: "a", Limit: 1, Data: data},
		}},
		{Request: &pb.SessionRequest_UpdateSemaphore_{
			UpdateSemaphore: &pb.SessionRequest_UpdateSemaphore{ReqId: 7, Name: "a", Data: data},
		}},
	}
}

// A large request is decoded like a small one, and its data does not change when gRPC reuses its buffers.
func TestUnmarshal_Large(t *testing.T) {
	t.Parallel()
	m, reused := kinds()["request"]()
	for _, size := range []int{60 << 10, 64 << 10, 70 << 10, 1 << 20} {
		for _, r := range withData(bytes.Repeat([]byte("d"), size)) {
			b, err := proto.Marshal(r)
			require.NoError(t, err)
			sameMessage(t, b, m, reused)
			sameMessage(t, b[:len(b)-1], m, reused)
		}
	}
}

// BenchmarkLarge decodes an update of 1 MiB, as it arrives. The data should be copied once.
func BenchmarkLarge(b *testing.B) {
	whole, err := proto.Marshal(withData(make([]byte, 1<<20))[2])
	require.NoError(b, err)
	var arrived mem.BufferSlice
	for part := range slices.Chunk(whole, 16<<10) {
		arrived = append(arrived, mem.SliceBuffer(part))
	}
	var into codec.Request
	b.SetBytes(int64(len(whole)))
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, codec.New().Unmarshal(arrived, &into))
	}
}

// A message stays in memory for the sake of its data only if the data is most of it.
func TestUnmarshal_KeepsLittle(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	b, err := proto.Marshal(withData(make([]byte, 1<<20))[2])
	require.NoError(t, err)
	size := protowire.SizeTag(11)
	_, n := protowire.ConsumeVarint(b[size:])
	part := append(slices.Clone(b[size+n:]), 0x1a, 1, 'd') // the data once more: the last one counts
	b = protowire.AppendBytes(protowire.AppendTag(nil, 11, protowire.BytesType), part)
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)

		return m.HeapAlloc
	}
	var kept [64][]byte
	before := used()
	for i := range kept {
		var r codec.Request
		require.NoError(t, codec.New().Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, &r))
		kept[i] = r.Message.GetUpdateSemaphore().GetData()
		require.Equal(t, "d", string(kept[i]))
	}
	require.Less(t, int64(used()-before), int64(len(kept)/2<<20))
	runtime.KeepAlive(kept)
}

func result(status Ydb.StatusIds_StatusCode, issues ...*Ydb_Issue.IssueMessage) *pb.SessionResponse {
	return &pb.SessionResponse{Response: &pb.SessionResponse_AcquireSemaphoreResult_{
		AcquireSemaphoreResult: &pb.SessionResponse_AcquireSemaphoreResult{ReqId: 1, Status: status, Issues: issues},
	}}
}

// seeds returns valid and invalid encodings.
func seeds() [][]byte {
	var all [][]byte
	for field := range protowire.Number(20) {
		for _, part := range []string{
			"\x08\x07\x12\x01a\x18\x01\x20\x01\x2a\x01d\x30\x01", "", // all fields of an acquire, and none
			"\x08\x07\x12\x01a\x18\x01\x20\x01\x28\x01\x30\x01", "", // the same for a describe
			"\x08\x07\x12\x01a\x18\x01\x22\x01d", "", // the same for a create
			"\x08\x07\x12\x01a\x1a\x01d", "", // the same for an update
			"\x08\x07\x10\x01\x20\x01", "", // the same for a result
			"\x08\x00", "\x08\x01", "\x08\x01\x08\x02", "\x08\x81\x00", "\x08", "\x08\x80", "\x88\x00\x01",
			"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
			"\x12\x00", "\x12\x04name", "\x12\x05name", "\x12\xffname", "\x12\x02\xc3\x28", "\x10\x07", "\x15\x00\x00\x00\x00",
			"\x1a\x02\x12\x00", "\x18\x02", "\x20\x02", "\x22\x00", "\x22\x01\x00", "\x22\x04\x0a\x02ab", "\x22\x02\x2a\x00",
			"\x22\x02\x2a\x00\x22\x02\x2a\x00", "\x22\x03\x2a\x01\x00", "\x2a\x01\x00", "\x2a\x00", "\x30\x01", "\x30\x80\x01",
			"\x78\x01", "\x0b\x0c", "\x0c", "\x00\x00", "\x0f", "\x82\x01\x00",
		} {
			one := protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), []byte(part))
			all = append(all, one, one[:len(one)-1], append(slices.Clip(one), one...), append(one, 0x80))
		}
		all = append(all, protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), 3))
	}

	return append(all, nil, []byte{0x80}, []byte{0xba, 0x00, 0x00}, []byte{0x3a, 0x80, 0x00})
}

// failer is a *testing.T or a *rapid.T.
type failer interface {
	require.TestingT
	Helper()
	Fatalf(format string, args ...any)
}

func sameBytes(t failer, m proto.Message) {
	t.Helper()
	want, wantErr := oracle.Marshal(m)
	got, err := codec.New().Marshal(m)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%v: error %v, want %v", m, err, wantErr)
	}
	if w, g := want.Materialize(), got.Materialize(); string(w) != string(g) {
		t.Fatalf("%v:\ngot  %x\nwant %x", m, g, w)
	}
	got.Free()
}

func sameMessage(t failer, b []byte, kind proto.Message, reused func() (any, proto.Message)) {
	t.Helper()
	data := mem.BufferSlice{mem.SliceBuffer(b)}
	want := kind.ProtoReflect().New().Interface()
	wantErr := oracle.Unmarshal(data, want)
	once := kind.ProtoReflect().New().Interface()
	into, again := reused()
	for _, c := range []struct {
		what    string
		into    any
		message proto.Message
	}{{"once", once, once}, {"reused", into, again}} {
		received := append([]byte(nil), b...)
		err := codec.New().Unmarshal(mem.BufferSlice{mem.SliceBuffer(received)}, c.into)
		if fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Fatalf("%s: %x: error %v, want %v", c.what, b, err, wantErr)
		}
		for i := range received {
			received[i] = 0xff // gRPC reuses its buffers
		}
		if err == nil && !proto.Equal(want, c.message) {
			t.Fatalf("%s: %x:\ngot  %v\nwant %v", c.what, b, c.message, want)
		}
	}
}

// fill sets random fields of a message.
func fill(t *rapid.T, m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	choose := fields.Len()
	if one := m.Descriptor().Oneofs(); one.Len() > 0 {
		f := fields.Get(rapid.IntRange(0, choose-1).Draw(t, "field"))
		fillField(t, m, f, depth)
	} else {
		for i := range choose {
			if rapid.IntRange(0, 2).Draw(t, "set") > 0 {
				fillField(t, m, fields.Get(i), depth)
			}
		}
	}
	if rapid.IntRange(0, 30).Draw(t, "unknown") == 0 {
		m.SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 5))
	}
}

func fillField(t *rapid.T, m protoreflect.Message, f protoreflect.FieldDescriptor, depth int) {
	switch {
	case f.IsList():
		list := m.Mutable(f).List()
		for range rapid.IntRange(0, 2).Draw(t, "elements") {
			if f.Message() != nil && depth > 0 {
				fill(t, list.AppendMutable().Message(), depth-1)
			}
		}
	case f.Message() != nil:
		if child := m.Mutable(f).Message(); depth > 0 {
			fill(t, child, depth-1)
		}
	default:
		m.Set(f, value(t, f.Kind()))
	}
}

func value(t *rapid.T, k protoreflect.Kind) protoreflect.Value {
	switch k {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(rapid.Bool().Draw(t, "bool"))
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(rapid.Int32().Draw(t, "enum")))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(rapid.Uint32().Draw(t, "number"))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(rapid.Uint64().Draw(t, "number"))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(rapid.SampledFrom([]string{"", "lock", "замок", "a\xffb"}).Draw(t, "text"))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "data"))
	default:
		panic(k)
	}
}

// encoded returns the encoding of a message of the kind, with random faults.
func encoded(t *rapid.T, kind proto.Message) []byte {
	var b []byte
	for range 1 + rapid.IntRange(0, 9).Draw(t, "more parts")/9 {
		m := kind.ProtoReflect().New()
		fill(t, m, 3)
		part, err := proto.MarshalOptions{AllowPartial: true}.Marshal(m.Interface())
		if err != nil {
			part = []byte{7<<3 | 2, 4, 2<<3 | 2, 2, 0xc3, 0x28} // a name that is not valid UTF-8
		}
		b = append(b, part...)
	}
	for range rapid.IntRange(0, 3).Draw(t, "faults") {
		if len(b) == 0 {
			break
		}
		at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		with := rapid.SliceOfN(rapid.Byte(), 0, 2).Draw(t, "with")
		keep := rapid.IntRange(0, 2).Draw(t, "overwrite")
		b = append(append(append([]byte(nil), b[:at]...), with...), b[min(len(b), at+keep):]...)
	}

	return b
}
