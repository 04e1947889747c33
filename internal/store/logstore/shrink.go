package logstore

import "context"

// shrink cuts off everything but the header of a file that is no longer needed, in small pieces with pauses between
// them. Freeing much space at once can delay the syncs of commits: by 8 to 12 ms on ext4 mounted with the option
// discard, which tells the disk what is free. Shrink stops at the first error and when ctx ends, because the file can
// be removed anyway.
func (s *Store) shrink(ctx context.Context, f *sharedFile, pace *pacer) {
	info, err := f.Stat()
	if err != nil {
		return
	}
	step := min(pieceSize, s.opts.LogSize)
	for size := info.Size(); size > headerSize && ctx.Err() == nil; {
		size = max(headerSize, size-step)
		if f.Truncate(size) != nil || f.Sync() != nil { // without a sync, the system would put all of it off
			return
		}
		pace.done(ctx, pieceSize)
	}
}
