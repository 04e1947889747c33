//go:build !unix

package workerscmd

func notifyPrint(chan<- struct{}) (stop func()) { return func() {} }

func hasTerminal() bool { return false }
