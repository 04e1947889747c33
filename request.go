package tenure

import (
	"fmt"
	gopath "path"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Issue"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tenure/internal/codec"
	"tenure/internal/limit"
	"tenure/internal/session"
)

// maxRequest is the size in bytes of the largest request that the client sends. It is below limit.Request by the space
// for the numbers that the core adds to a request: its id, and the id and the sequence number of a session.
const maxRequest = limit.Request - 64

// maxBuffer is the size in bytes of the largest buffer that encoded keeps.
const maxBuffer = 64 << 10

// encoded holds buffers for requestFault, so that the check of a small request allocates nothing.
var encoded = sync.Pool{New: func() any { return new(make([]byte, 0, 1<<10)) }}

// checkRequest returns a [*StatusError] with the status BAD_REQUEST if a request cannot be encoded, or if it is larger
// than maxRequest. The client checks every request that contains a user's text or data, before it does anything else.
//
// Both checks have to come before the request is queued. When gRPC cannot encode a message, or when a server does not
// accept its size, the whole stream ends, and the session repeats the same request over every later stream. The server
// makes all other checks, including those of the sizes of names and data. It answers the request with a status, and its
// limits may differ from those of this project's server. A request above maxRequest is useless on any server, since the
// protocol allows 1 MiB of data.
func checkRequest(op, object string, m proto.Message) error {
	fault := requestFault(m)
	if fault == "" {
		return nil
	}

	return refuse(op, object, fault)
}

// requestFault describes what is wrong with a request, and what to do about it. It returns "" if the request can be
// sent.
func requestFault(m proto.Message) string {
	if r, ok := m.(*pb.SessionRequest); ok && fits(r) {
		return ""
	}
	if size := proto.Size(m); size > maxRequest {
		return fmt.Sprintf("the request has %d bytes, and the limit is %d bytes: shorten its text or data",
			size, maxRequest)
	}
	buf := encoded.Get().(*[]byte)
	b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend((*buf)[:0], m)
	if cap(b) <= maxBuffer {
		*buf = b
	}
	encoded.Put(buf)
	if err == nil {
		return ""
	}
	if field := badText(m.ProtoReflect()); field != "" {
		return fmt.Sprintf("the %s is not valid UTF-8: convert text to UTF-8, and binary data to hexadecimal or base64",
			field)
	}

	return fmt.Sprintf("the request cannot be encoded: %v", err)
}

// fits reports whether a request can be sent. If it returns false, requestFault has to look more closely.
func fits(m *pb.SessionRequest) bool {
	buf := codec.Buffer()
	defer codec.Recycle(buf)
	var ok bool
	*buf, ok = codec.AppendRequest(*buf, m)

	return ok && len(*buf) <= maxRequest
}

// badText returns the name of a field whose text is not valid UTF-8, or "".
func badText(m protoreflect.Message) (bad protoreflect.Name) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsList(), field.IsMap(): // the client's requests have no such fields
		case field.Message() != nil:
			bad = badText(value.Message())
		case field.Kind() == protoreflect.StringKind && !utf8.ValidString(value.String()):
			bad = field.Name()
		}

		return bad == ""
	})

	return bad
}

// checkNode is like checkRequest, for requests that the SDK makes. In these only the path, and the path in the config,
// can be at fault.
func (c *Client) checkNode(op, path string, config coordination.NodeConfig) error {
	err := checkRequest(op, path, &pb.CreateNodeRequest{Path: path, Config: &pb.Config{Path: config.Path}})
	if err != nil {
		return err
	}

	return c.checkPath(op, path)
}

// checkPath returns a [*StatusError] with the status BAD_REQUEST if the path of a node is not absolute (N6). A server
// would answer a request for a session only that the node does not exist. The path is not completed, because the client
// of ydb-go-sdk does not do that either, so that a program would work with one of the two clients only.
func (c *Client) checkPath(op, path string) error {
	if strings.HasPrefix(path, "/") {
		return nil
	}
	database := strings.Trim(c.database, "/")
	below, inside := strings.CutPrefix(path+"/", database+"/")
	if !inside {
		below = path
	}
	absolute := gopath.Join("/", database, gopath.Clean("/"+below))
	fault := "the path is not absolute: write " + limit.Quote(absolute)
	if path == "" {
		fault = fmt.Sprintf("the path is empty: write e.g. %q", gopath.Join("/", database, "app"))
	}

	return refuse(op, path, fault)
}

// refuse returns the error of a request that the client refuses.
func refuse(op, object, fault string) error {
	return newStatusError(op, object, &session.StatusError{
		Status: Ydb.StatusIds_BAD_REQUEST, Issues: []*Ydb_Issue.IssueMessage{{Message: fault, Severity: 1}},
	})
}
