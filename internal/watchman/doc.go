// Package watchman is the process of a guard: see package guard.
//
// A guard is a process of the same binary as its holder, and lives beside each COMMAND. So the packages of the whole
// program, such as gRPC and the messages of YDB, would be initialised for each of them, which takes most of the time
// and memory of a guard. Go initialises packages in order of their import paths, each after those that it imports. This
// package imports so little that it comes before almost all others, and the guard runs in its init function. The rest
// of the program is initialised only when the guard needs it, to end a session on a server. The two then run at the
// same time, because the guard must not stop watching.
//
// Therefore this package must not import, directly or not, package unicode and what depends on it, such as strings, fmt
// and golang.org/x/sys/unix. A test checks that. If the order of initialisation changes, guards become slower and
// larger, but they work.
package watchman
