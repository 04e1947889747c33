// Package page serves a web page for people who want to know whether a server is well, who holds which semaphore, and
// who waits. It works without a script. With one, it changes by itself.
//
// One goroutine takes a snapshot of the server each second while somebody looks, and none otherwise. Viewers render
// what they show from it, in goroutines of their own, so a slow viewer delays nobody.
package page
