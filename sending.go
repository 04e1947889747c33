package tenure

import (
	"github.com/ydb-platform/ydb-go-genproto/Ydb_Coordination_V1"
	pb "github.com/ydb-platform/ydb-go-genproto/protos/Ydb_Coordination"
)

const (
	// maxUnsent bounds the bytes that gRPC still has to write when flush passes another message to it. gRPC takes 64 KiB
	// of a stream before its Send waits for the network.
	maxUnsent = 16 << 10

	// maxFlush bounds the messages that one call of flush sends, most of which are those of other goroutines.
	maxFlush = 16
)

// send queues a message. A call of flush or flushLater must follow.
func (st *stream) send(m *pb.SessionRequest) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.queue = append(st.queue, m)
}

// opened makes the stream send its messages. checkRequest has seen them, so gRPC can encode each.
func (st *stream) opened(g Ydb_Coordination_V1.CoordinationService_SessionClient) {
	st.mu.Lock()
	st.open = g
	st.mu.Unlock()
	st.flush()
}

// ended makes the stream send nothing more.
func (st *stream) ended() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.open = nil
}

// flush sends the queued messages, unless another goroutine is doing so. It does not wait for the network, and leaves
// messages that gRPC might not take immediately to another goroutine. But gRPC calls the user's code, such as the
// callbacks of a trace, and those may block.
func (st *stream) flush() {
	batch, g := st.take()
	for sent := 0; len(batch) > 0; batch = st.next(batch) {
		for i, m := range batch {
			if sent++; sent > maxFlush || st.codec.Unsent() > maxUnsent {
				st.leave(batch[i:], g)

				return
			}
			if g.Send(m) != nil {
				return // the stream has ended: RecvMsg returns the reason
			}
		}
	}
}

// flushLater is like flush, but leaves all messages to another goroutine.
func (st *stream) flushLater() {
	if batch, g := st.take(); len(batch) > 0 {
		st.leave(batch, g)
	}
}

// take returns the queued messages, which the caller has to send. It returns none if the stream is not open or another
// goroutine sends.
func (st *stream) take() ([]*pb.SessionRequest, Ydb_Coordination_V1.CoordinationService_SessionClient) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.open == nil || st.sending || len(st.queue) == 0 {
		return nil, nil
	}
	st.sending = true
	batch := st.queue
	st.queue, st.spare = st.spare, nil

	return batch, st.open
}

// next returns the messages that have been queued meanwhile, which the caller has to send. If there are none, other
// goroutines may send. It reuses the array of the sent messages.
func (st *stream) next(sent []*pb.SessionRequest) []*pb.SessionRequest {
	clear(sent)
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.queue) == 0 {
		st.sending, st.spare = false, sent[:0]

		return nil
	}
	batch := st.queue
	st.queue = sent[:0]

	return batch
}

// leave starts a goroutine that sends the messages, and those that are queued meanwhile. It ends when ctx ends.
func (st *stream) leave(batch []*pb.SessionRequest, g Ydb_Coordination_V1.CoordinationService_SessionClient) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.open == nil {
		return // nobody may wait for the goroutine any longer
	}
	st.running.Go(func() {
		for ; len(batch) > 0; batch = st.next(batch) {
			for _, m := range batch {
				if g.Send(m) != nil {
					return
				}
			}
		}
	})
}
