package assign

// PairHash returns the hash of a task and a member. A member prefers the task with the higher hash.
func PairHash(task, member string) uint64 { return pairHash(hashName(task), hashName(member)) }

// HashName returns the hash of a name.
func HashName(name string) uint64 { return hashName(name) }

// Distance is what pick divides by the capacity.
func Distance(h uint64) uint64 { return distance(h) }
