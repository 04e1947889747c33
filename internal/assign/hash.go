package assign

import "math/bits"

// hashName returns a hash of a name: FNV-1a with 64 bits, then mix, because names that differ only in their last
// characters have similar FNV-1a hashes. All versions of this package must return the same hashes, because workers of
// different versions share a pool.
func hashName(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return mix(h)
}

// pairHash returns the hash of a task and a member, from the hashes of their names.
func pairHash(task, member uint64) uint64 { return mix(task ^ bits.RotateLeft64(member, 32)) }

// mix is the finaliser of MurmurHash3: each bit of x changes each bit of the result with a probability of about 1/2.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	return x
}

// distance returns about -log2(h / 2^64), in units of 2^-32. If h is uniformly distributed, distance is exponentially
// distributed, and so member a has the lowest distance / capacity of all members with the probability
// capacity(a) / total capacity. That is the score of weighted rendezvous hashing, -capacity / log(h), upside down.
//
// It uses integers only, because the results of floating-point logarithms differ between machines. Between two powers
// of two, it approximates log2(1+f) by a cubic polynomial that has the same values and slopes at both ends. The error
// is less than 0.006.
func distance(h uint64) uint64 {
	h |= 1
	n := bits.LeadingZeros64(h)
	f := h << n << 1 >> 32 // fraction, in units of 2^-32
	const a, b = 1901360723, 704211374
	bump := f * (1<<32 - f) >> 32 * (a - b*f>>32) >> 32
	return uint64(n)<<32 + (1<<32 - f) - bump
}
