package workers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tenure/internal/limit"
	"tenure/internal/pool"
	"tenure/internal/roster"
	"tenure/internal/term"
)

// A Spec is an entry of a list of tasks.
type Spec struct {
	Name   string // of the task and its semaphore: up to 1,017 bytes of valid UTF-8
	Weight int    // how much of a worker's capacity the task takes, at least 1; 0 means 1
}

// A Source provides the list of tasks, which may change.
//
// Watch calls update with the whole list, at least once, and again after each change. It returns an error if it cannot
// provide a list, nil if the list will not change any more, and anything when ctx ends. The update returns an error if
// the list is not valid: a name is not valid or listed twice, or a weight is negative. The earlier list then remains in
// effect. Watch may ignore that error or return it. If Watch returns an error, [Run] ends with it.
//
// All workers of a pool should have the same list. Workers whose lists differ share the tasks that they have in common.
type Source interface {
	Watch(ctx context.Context, update func([]Spec) error) error
}

// SourceFunc is a function as a [Source].
type SourceFunc func(ctx context.Context, update func([]Spec) error) error

// Watch calls f.
func (f SourceFunc) Watch(ctx context.Context, update func([]Spec) error) error {
	return f(ctx, update)
}

var errNoSource = errors.New("the source of tasks is nil")

// noSource reports whether the source is nil or a nil function.
func noSource(s Source) bool {
	f, ok := s.(SourceFunc)

	return s == nil || ok && f == nil
}

// List returns a source with these tasks, which do not change.
func List(specs ...Spec) Source {
	return SourceFunc(func(_ context.Context, update func([]Spec) error) error {
		if len(specs) == 0 {
			return errors.New("there are no tasks")
		}

		return update(specs)
	})
}

// Names returns a source with tasks of these names and of weight 1.
func Names(names ...string) Source {
	specs := make([]Spec, len(names))
	for i, name := range names {
		specs[i].Name = name
	}

	return List(specs...)
}

// Numbered returns a source with n tasks of weight 1, whose names are the prefix and a number from 0 to n-1.
func Numbered(prefix string, n int) Source {
	names := make([]string, max(n, 0))
	for i := range names {
		names[i] = fmt.Sprint(prefix, i)
	}

	return Names(names...)
}

// check returns the list sorted by name, or an error if it is not valid.
func check(specs []Spec) ([]pool.Spec, error) {
	list := make([]pool.Spec, len(specs))
	for i, s := range specs {
		err := term.CheckName(s.Name)
		switch {
		case err != nil:
		case len(roster.RecordOf(s.Name)) > limit.Name:
			err = fmt.Errorf("the name has %d bytes: the limit is %d", len(s.Name), limit.Name-len(roster.RecordOf("")))
		case s.Weight < 0:
			err = fmt.Errorf("the weight is %d: it must be at least 1", s.Weight)
		case roster.Reserved(s.Name):
			err = errors.New(`a name must not end with "#members" or "#record" or contain "#worker="`)
		}
		if err != nil {
			return nil, fmt.Errorf("task %s: %w", limit.Quote(s.Name), err)
		}
		list[i] = pool.Spec{Name: s.Name, Weight: max(s.Weight, 1)}
	}
	slices.SortFunc(list, func(a, b pool.Spec) int { return strings.Compare(a.Name, b.Name) })
	for i := range list[min(1, len(list)):] {
		if list[i].Name == list[i+1].Name {
			return nil, fmt.Errorf("task %q is listed twice", list[i].Name)
		}
	}

	return list, nil
}
