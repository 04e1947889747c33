// Package access decides who calls a server and what the caller may do.
//
// A [Policy] is the content of a tokens file: users with the credentials that identify them, grants and limits. An
// [Authority] holds the current policy. It turns what a caller showed, such as the hash of a token or the names in a
// certificate, into a [User], and it issues the tokens of users who log in with a password. A user knows its rights on
// each path.
//
// The package has no network and starts no goroutine. Callers pass the time.
package access
