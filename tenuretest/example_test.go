package tenuretest_test

import (
	"testing"

	"github.com/ydb-platform/ydb-go-sdk/v3"
	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/tenuretest"
)

// A test of a program that needs a coordination node, with no database to install.
func ExampleNewServer() { //nolint:testableexamples // what it needs is a test, to which it belongs
	var t *testing.T // the test's own

	srv := tenuretest.NewServer(t)
	db, err := ydb.Open(t.Context(), srv.DSN(), ydb.WithAnonymousCredentials())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(t.Context()) }()

	err = db.Coordination().CreateNode(t.Context(), srv.Database()+"/app", coordination.NodeConfig{})
	if err != nil {
		t.Fatal(err)
	}
}
