package logstore

import (
	"cmp"
	"slices"
)

// sortEntries sorts entries by their words. Entries with equal words keep their order. The result may be entries itself
// or a new slice, and entries is not to be used afterwards. It calls rest after each piece of the work, with the number
// of bytes that it has moved.
//
// It is a radix sort, which moves the entries once for each byte that is not the same in all of them, beginning with
// the last byte. Ids of sessions and semaphores that were in use at about the same time differ in two or three bytes.
// Links are mostly in order of their semaphores already, which are the second words.
func sortEntries(entries []entry, rest func(size int)) []entry {
	var differ [2]uint64
	sorted, seconds := true, true // in order by both words, and by the second one
	for i := 1; i < len(entries); i++ {
		a, b := &entries[i-1].words, &entries[i].words
		differ[0] |= a[0] ^ b[0]
		differ[1] |= a[1] ^ b[1]
		sorted = sorted && (a[0] < b[0] || a[0] == b[0] && a[1] <= b[1])
		seconds = seconds && a[1] <= b[1]
	}
	if sorted {
		return entries
	}
	if len(entries) < fewEntries {
		slices.SortStableFunc(entries, func(a, b entry) int {
			return cmp.Or(cmp.Compare(a.words[0], b.words[0]), cmp.Compare(a.words[1], b.words[1]))
		})

		return entries
	}
	if seconds {
		differ[1] = 0
	}
	other := make([]entry, len(entries))
	for word := 1; word >= 0; word-- {
		for shift := 0; shift < 64; shift += 8 {
			if differ[word]>>shift&0xff == 0 {
				continue
			}
			sortByByte(other, entries, word, shift, rest)
			entries, other = other, entries
		}
	}

	return entries
}

// sortPiece is the number of entries after which sortByByte calls rest.
const sortPiece = pieceSize / entrySize

// sortByByte writes entries to another slice in order of the byte of a word that begins at a bit.
func sortByByte(to, from []entry, word, shift int, rest func(size int)) {
	var next [256]int // where the next entry with the byte goes
	for i := range from {
		next[byte(from[i].words[word]>>shift)]++
	}
	at := 0
	for b, n := range next {
		next[b] = at
		at += n
	}
	for piece := range slices.Chunk(from, sortPiece) {
		for i := range piece {
			n := &next[byte(piece[i].words[word]>>shift)]
			to[*n] = piece[i]
			*n++
		}
		rest(len(piece) * entrySize)
	}
}
