package servermetrics

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"tenure/internal/serverstats"
)

// histogram is a metric with classic and native buckets. The constructors of the client library for constant histograms
// make only one of the two kinds.
type histogram struct {
	desc   *prometheus.Desc
	h      *serverstats.Histogram
	labels []string
}

func (h *histogram) Desc() *prometheus.Desc { return h.desc }

func (h *histogram) Write(m *dto.Metric) error {
	m.Label = prometheus.MakeLabelPairs(h.desc, h.labels)
	out := &dto.Histogram{
		SampleCount: new(h.h.Count), SampleSum: new(h.h.Sum),
		Schema: proto.Int32(serverstats.Schema), ZeroThreshold: proto.Float64(serverstats.ZeroThreshold),
		ZeroCount: new(h.h.Zero),
	}
	total := uint64(0)
	for i, n := range h.h.Classic {
		total += n
		out.Bucket = append(out.Bucket, &dto.Bucket{
			CumulativeCount: new(total), UpperBound: new(serverstats.Bounds[i]),
		})
	}
	out.PositiveSpan, out.PositiveDelta = spans(h.h)
	m.Histogram = out

	return nil
}

// spans encodes the native buckets: runs of buckets that are not empty, each with its distance from the run before, and
// the difference of each count from the one before.
func spans(h *serverstats.Histogram) (spans []*dto.BucketSpan, deltas []int64) {
	next, last := 0, int64(0) // the index that continues the current span, and the count before
	for i, n := range h.Native {
		if n == 0 {
			continue
		}
		index := i + serverstats.First
		if len(spans) == 0 || index != next {
			spans = append(spans, &dto.BucketSpan{Offset: new(int32(index - next)), Length: proto.Uint32(0)})
		}
		span := spans[len(spans)-1]
		*span.Length++
		deltas = append(deltas, int64(n)-last)
		next, last = index+1, int64(n)
	}
	if len(spans) == 0 { // a span without buckets marks a native histogram that is empty
		spans = []*dto.BucketSpan{{Offset: proto.Int32(0), Length: proto.Uint32(0)}}
	}

	return spans, deltas
}
