// Package tenuretest gives the tests of programs that use a coordination service a real one, in process, within
// milliseconds: no container, no port to choose, nothing to clean up.
//
//	func TestBackup_RunsOnce(t *testing.T) {
//		srv := tenuretest.NewServer(t)
//		db, err := ydb.Open(t.Context(), srv.DSN())
//		// ... let two instances compete; then see what they do about a fault:
//		srv.DropStreams()
//		srv.Restart()
//	}
//
// The server is that of package server, with its records in memory; it speaks the wire protocol on a loopback port.
package tenuretest
