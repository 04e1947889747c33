package watchman

import (
	"os"
	"slices"
	"strconv"
)

// openDescriptors returns the open descriptors of this process in ascending order, and maybe some that are not open.
func openDescriptors() []int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return possibleDescriptors()
	}
	fds := make([]int, 0, len(entries))
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil {
			fds = append(fds, fd)
		}
	}
	slices.Sort(fds)

	return fds
}
