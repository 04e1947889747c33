// Package workers tests the command workers with real processes. Several processes of workers share tasks, on the
// embedded server or on tenure serve, and the test kills or stops some of them, or takes the server away. A task runs a
// [Job], which writes what it does to a [Record]. A judge that knows nothing of workers reads the record: see judge in
// the tests.
//
// The commands are built without the race detector, even if the tests use it: each task needs a process for COMMAND and
// one for its guard, and with the race detector their start takes three times as much processor time. Package e2e runs
// the commands with the race detector.
package workers
