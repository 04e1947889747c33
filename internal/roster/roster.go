// Package roster encodes what the workers of a pool tell each other.
//
// A pool has a membership semaphore. Each worker owns a share of it while it works, and the data of its share is its
// [Announcement]. A task has a second semaphore, its record, once it has failed or is done. The data of that semaphore
// is a [Record]. Both are JSON, so that people can read them.
//
// Announcements name tasks by a hash of 8 bytes, so that a worker with many tasks stays far below the size limit of
// the data. The hashes only affect which worker asks for a task. The task's own semaphore decides which worker gets it.
package roster

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Suffixes of the semaphores that belong to a pool or to a task. Names of tasks must not end with them.
const (
	membersSuffix = "#members"
	recordSuffix  = "#record"
	nameMark      = "#worker="
)

// MembersOf returns the name of the membership semaphore of a pool.
func MembersOf(pool string) string { return pool + membersSuffix }

// RecordOf returns the name of the semaphore with the record of a task.
func RecordOf(task string) string { return task + recordSuffix }

// NameOf returns the name of the semaphore that a worker with a stable name owns.
func NameOf(pool, worker string) string { return pool + nameMark + worker }

// Reserved reports whether a task must not have this name, because a pool uses it.
func Reserved(task string) bool {
	return strings.HasSuffix(task, membersSuffix) || strings.HasSuffix(task, recordSuffix) ||
		strings.Contains(task, nameMark)
}

// A Hash stands for the name of a task.
type Hash uint64

// HashOf returns the hash of a name. It is the same on all machines and in all versions.
func HashOf(task string) Hash {
	sum := sha256.Sum256([]byte(task))

	return Hash(binary.BigEndian.Uint64(sum[:]))
}

// Digest returns a text that is the same for equal lists of tasks and, for all practical purposes, for no others. Each
// of the tasks is a name and its weight; they are sorted by name.
func Digest[T any](tasks []T, of func(T) (name string, weight int)) string {
	h := sha256.New()
	var line []byte
	for _, task := range tasks {
		name, weight := of(task)
		line = append(append(append(strconv.AppendInt(line[:0], int64(len(name)), 10), ':'), name...), '=')
		h.Write(append(strconv.AppendInt(line, int64(weight), 10), '\n'))
	}

	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

// Modes of a worker.
const (
	Greedy   = "greedy"
	Balanced = "balanced"
)

// An Announcement is what a worker tells the others of its pool.
type Announcement struct {
	Worker   string            `json:"worker"`             // its name, unique in the pool
	Named    bool              `json:"named,omitempty"`    // it may come back soon with the same name
	Who      string            `json:"who,omitempty"`      // describes the process to people
	Labels   map[string]string `json:"labels,omitempty"`   // describe the worker to people
	Mode     string            `json:"mode"`               // Greedy or Balanced
	Capacity int               `json:"capacity"`           // the weight of the tasks that it can take
	Only     string            `json:"only,omitempty"`     // it takes only tasks that match this pattern of path.Match
	Digest   string            `json:"digest"`             // of its list of tasks
	Tasks    int               `json:"tasks"`              // how many there are in the list
	Leaving  bool              `json:"leaving,omitempty"`  // it gives its tasks back and takes no others
	Timeout  Millis            `json:"timeout_ms"`         // of its session
	Held     Hashes            `json:"held,omitempty"`     // the tasks that it owns
	Times    Times             `json:"times,omitempty"`    // of the tasks in Held, in the same order
	Declined Hashes            `json:"declined,omitempty"` // the tasks that it does not take for now
	Done     Bits              `json:"done,omitempty"`     // the tasks that it knows are done, and not run again
	Failed   Bits              `json:"failed,omitempty"`   // the same for those that have failed for good
	Ghosts   []Ghost           `json:"ghosts,omitempty"`   // named workers that are away, and may come back
}

// A Ghost is the place of a named worker that has left the pool. The others keep its tasks free for a while.
type Ghost struct {
	Worker string `json:"worker"`
	Left   Millis `json:"left_ms"` // how much longer the place is kept
	Held   Hashes `json:"held"`
}

// Millis is a duration as milliseconds in JSON.
type Millis time.Duration

// MarshalJSON implements [json.Marshaler].
func (m Millis) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(m).Milliseconds()) }

// UnmarshalJSON implements [json.Unmarshaler].
func (m *Millis) UnmarshalJSON(b []byte) error {
	var n int64
	err := json.Unmarshal(b, &n)
	*m = Millis(time.Duration(min(max(n, 0), 1<<40)) * time.Millisecond)

	return err
}

// Hashes is a sorted set of tasks.
type Hashes []Hash

// MarshalJSON implements [json.Marshaler]. The hashes become one text in base64.
func (s Hashes) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 8*len(s))
	for _, h := range s {
		b = binary.BigEndian.AppendUint64(b, uint64(h))
	}

	return json.Marshal(b)
}

// UnmarshalJSON implements [json.Unmarshaler].
func (s *Hashes) UnmarshalJSON(data []byte) error {
	var b []byte
	if err := json.Unmarshal(data, &b); err != nil {
		return err
	}
	*s = make(Hashes, 0, len(b)/8)
	for ; len(b) >= 8; b = b[8:] {
		*s = append(*s, Hash(binary.BigEndian.Uint64(b)))
	}
	slices.Sort(*s)

	return nil
}

// Has reports whether the task is in the set.
func (s Hashes) Has(h Hash) bool {
	_, found := slices.BinarySearch(s, h)

	return found
}

// Times are the times of tasks in seconds of Unix time, by the clock of their worker.
type Times []Time

// A Time says since when a task runs and when it was heard from last; 0: it does not run, or was not heard from.
type Time struct{ Since, Heard uint32 }

// MarshalJSON implements [json.Marshaler]. The times become one text in base64.
func (s Times) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 8*len(s))
	for _, t := range s {
		b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, t.Since), t.Heard)
	}

	return json.Marshal(b)
}

// UnmarshalJSON implements [json.Unmarshaler].
func (s *Times) UnmarshalJSON(data []byte) error {
	var b []byte
	if err := json.Unmarshal(data, &b); err != nil {
		return err
	}
	*s = nil
	for ; len(b) >= 8; b = b[8:] {
		*s = append(*s, Time{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])})
	}

	return nil
}

// Bits is a set of positions in a sorted list of tasks. It means something only to workers with the same list.
type Bits []byte

// Set adds a position.
func (b *Bits) Set(i int) {
	if missing := i/8 + 1 - len(*b); missing > 0 {
		*b = append(*b, make(Bits, missing)...)
	}
	(*b)[i/8] |= 1 << (i % 8)
}

// Has reports whether the position is in the set.
func (b Bits) Has(i int) bool { return i/8 < len(b) && b[i/8]&(1<<(i%8)) != 0 }

// Encode returns the data of the worker's share of the membership semaphore.
func (a *Announcement) Encode() []byte {
	b, err := json.Marshal(a)
	if err != nil {
		panic("roster: " + err.Error()) // an Announcement has only plain data
	}

	return b
}

// A Member is a worker as its announcement describes it.
type Member struct {
	Announcement

	Session uint64
	Token   uint64 // the order id of its share: members are older the smaller it is
}

// Decode reads an announcement. It fails if the data is not an announcement, such as that of another program that uses
// the semaphore.
func Decode(session, token uint64, data []byte) (Member, error) {
	m := Member{Session: session, Token: token}
	if err := json.Unmarshal(data, &m.Announcement); err != nil {
		return m, fmt.Errorf("session %d: the data is not the announcement of a worker: %w", session, err)
	}
	if m.Worker == "" {
		return m, fmt.Errorf("session %d: the announcement has no name", session)
	}
	m.Capacity = max(m.Capacity, 0)

	return m, nil
}

// TimeOf returns the times of a task in Held.
func (m *Member) TimeOf(task Hash) (at Time, ok bool) {
	i, found := slices.BinarySearch(m.Held, task)
	if !found || i >= len(m.Times) {
		return Time{}, false
	}

	return m.Times[i], true
}

// Sort sorts members by name. Of several with the same name, the oldest remains: the others are about to be refused.
func Sort(members []Member) []Member {
	slices.SortFunc(members, func(a, b Member) int {
		return cmp.Or(strings.Compare(a.Worker, b.Worker), cmp.Compare(a.Token, b.Token))
	})

	return slices.CompactFunc(members, func(a, b Member) bool { return a.Worker == b.Worker })
}
