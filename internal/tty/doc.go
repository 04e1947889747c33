// Package tty moves process groups to the foreground of the controlling terminal, and reads secrets from it.
//
// A process in the background that reads the terminal, changes its settings or, with stty tostop, writes to it is
// stopped by SIGTTIN or SIGTTOU. The system sends these signals to all processes of its group.
package tty
