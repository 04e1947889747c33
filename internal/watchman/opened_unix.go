//go:build unix

package watchman

// possibleDescriptors returns the numbers that the descriptors of a process usually have, in ascending order.
func possibleDescriptors() []int {
	const limit = 1024 // the usual limit of the system
	fds := make([]int, limit)
	for i := range fds {
		fds[i] = i
	}

	return fds
}
