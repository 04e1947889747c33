package server_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Table_V1"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Scheme"
	"github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Table"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestUnknownMethods_SayWhatIsServed(t *testing.T) {
	t.Parallel()
	h := serve(t)
	requireNotServed := func(err error, method string) {
		t.Helper()
		require.Equal(t, codes.Unimplemented, status.Code(err))
		require.ErrorContains(t, err, method+" is not served")
		require.ErrorContains(t, err, "Ydb.Auth.V1, Ydb.Coordination.V1, Ydb.Discovery.V1, Ydb.Scheme.V1")
	}

	err := h.conn.Invoke(t.Context(), "/"+strings.Repeat("x", 7<<10), &Ydb_Scheme.DescribePathRequest{},
		&Ydb_Scheme.DescribePathResponse{})
	require.Equal(t, codes.Unimplemented, status.Code(err))
	require.Less(t, len(status.Convert(err).Message()), 512, "it does not repeat a long name")
	_, err = Ydb_Table_V1.NewTableServiceClient(h.conn).CreateSession(t.Context(), &Ydb_Table.CreateSessionRequest{})
	requireNotServed(err, "/Ydb.Table.V1.TableService/CreateSession")
	err = h.conn.Invoke(t.Context(), "/Ydb.Scheme.V1.SchemeService/Unheard", &Ydb_Scheme.DescribePathRequest{},
		&Ydb_Scheme.DescribePathResponse{})
	requireNotServed(err, "/Ydb.Scheme.V1.SchemeService/Unheard")
}
