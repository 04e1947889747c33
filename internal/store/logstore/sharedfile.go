package logstore

import "sync/atomic"

// sharedFile is a file that the store and calls of Load use. It is closed when the last of them has released it.
type sharedFile struct {
	file

	name     string
	users    atomic.Int32
	obsolete func() // called after the file was closed; nil while the store uses it
}

func share(f file, name string) *sharedFile {
	s := &sharedFile{file: f, name: name}
	s.users.Store(1)

	return s
}

// use adds a user. The caller must know that there is another one.
func (s *sharedFile) use() { s.users.Add(1) }

// sole reports whether there is one user only. If the store does not use the file any more, nobody can become another
// user.
func (s *sharedFile) sole() bool { return s.users.Load() == 1 }

func (s *sharedFile) release() {
	if s.users.Add(-1) > 0 {
		return
	}
	_ = s.Close() // what it contains is durable, or nobody needs it
	if s.obsolete != nil {
		s.obsolete()
	}
}
