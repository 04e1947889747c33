//go:build unix

package watchman

import (
	"syscall"

	"tenure/internal/clock"
)

const (
	maxControl  = 256      // holds the descriptors of a start message
	smallBuffer = 1 << 10  // for the messages while COMMAND runs
	largeBuffer = 16 << 10 // for those before
)

// receive reads and performs all messages that have arrived.
func (w *watchman) receive() {
	if w.command != 0 && len(w.buffer) > smallBuffer {
		w.buffer = nil
	}
	if w.buffer == nil {
		size := smallBuffer
		if w.command == 0 { // arguments and environment follow
			size = largeBuffer
		}
		w.buffer = make([]byte, size)
	}
	var control [maxControl]byte
	for !w.alone {
		n, oobn, _, _, err := syscall.Recvmsg(w.socket, w.buffer, control[:], cloexec)
		if err == syscall.EAGAIN {
			break
		}
		if err == syscall.EINTR {
			continue
		}
		if err != nil || n == 0 {
			w.alone = !w.done
			if w.done {
				break
			}
		}
		w.takeFiles(control[:oobn])
		w.in = append(w.in, w.buffer[:max(n, 0)]...)
	}
	for {
		var r Request
		rest, ok, err := Decode(w.in, &r)
		if err != nil {
			w.alone = true // it is not a holder
		}
		if w.in = rest; !ok {
			break
		}
		w.perform(&r)
	}
	if s := w.starting; s != nil { // I1: a newer deadline may have arrived after the request
		w.starting = nil
		w.start(s)
	}
}

func (w *watchman) takeFiles(control []byte) {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return
	}
	for _, m := range messages {
		fds, err := syscall.ParseUnixRights(&m)
		if err != nil {
			continue
		}
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
		}
		w.files = append(w.files, fds...)
	}
}

func (w *watchman) perform(r *Request) {
	w.changed = w.changed || r.Extend == 0
	switch {
	case r.Lease != nil:
		w.lease = *r.Lease
		w.extend(r.Lease.Deadline)
	case r.Extend != 0:
		w.extend(r.Extend)
	case r.Start != nil:
		w.starting = r.Start
	case r.Reap:
		w.reap = true
	case r.Rest:
		w.rest = true
	case r.Signal != 0:
		if w.command != 0 && !w.empty {
			_ = syscall.Kill(-w.command, syscall.Signal(r.Signal)) // the group may be empty
		}
	case r.Resume:
		w.resume()
	case r.Kill:
		w.kill = true
	case r.Done:
		w.done = true
	}
}

func (w *watchman) extend(deadline clock.Instant) {
	w.lease.Deadline = deadline
	w.killAt = KillAt(deadline, w.lease.Timeout)
}

// say queues an event for the holder. A holder that is frozen for long may miss that COMMAND was stopped or continued.
func (w *watchman) say(e Event) {
	const plenty = 64 << 10
	if w.alone || len(w.out) > plenty && (e.Kind == Stopped || e.Kind == Continued) {
		return
	}
	w.out = Encode(w.out, &e)
}

// flush sends what the socket takes.
func (w *watchman) flush() {
	for len(w.out) > 0 && !w.alone {
		n, err := syscall.Write(w.socket, w.out)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return // receive notices the end of the holder
		}
		w.out = w.out[n:]
	}
}
