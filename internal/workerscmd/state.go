package workerscmd

import (
	"maps"
	"sync"

	"tenure/internal/tasklist"
)

// A state is what this process knows of the tasks. Its methods are safe for concurrent use.
type state struct {
	capacity int

	mu      sync.Mutex // guards the rest
	specs   []tasklist.Spec
	weights map[string]int
	running map[string]int      // the weights of the tasks that run here
	done    map[string]struct{} // in the list
	failed  map[string]string   // in the list: for good; with the reason, which may be empty
}

func newState(capacity int) *state {
	return &state{
		capacity: capacity, weights: make(map[string]int), running: make(map[string]int),
		done: make(map[string]struct{}), failed: make(map[string]string),
	}
}

// setTasks replaces the list of tasks.
func (s *state) setTasks(specs []tasklist.Spec) {
	weights := make(map[string]int, len(specs))
	for _, spec := range specs {
		weights[spec.Name] = spec.Weight
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.specs, s.weights = specs, weights
	listed := func(task string) bool { return weights[task] > 0 }
	maps.DeleteFunc(s.done, func(task string, _ struct{}) bool { return !listed(task) })
	maps.DeleteFunc(s.failed, func(task, _ string) bool { return !listed(task) })
}

// list returns the list of tasks. The caller must not change it.
func (s *state) list() []tasklist.Spec {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.specs
}

func (s *state) started(task string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[task] = s.weights[task]
	delete(s.failed, task) // the session was lost before the failure was recorded
}

func (s *state) ended(task string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, task)
}

// finished notes that a task is done.
func (s *state) finished(task string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[task] = struct{}{}
	delete(s.failed, task)
}

// failedFor notes that a task has failed for good.
func (s *state) failedFor(task, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if reason != "" || s.failed[task] == "" {
		s.failed[task] = reason
	}
}

// reason returns why a task has failed for good, if it has failed here.
func (s *state) reason(task string) string {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.failed[task]
}

// load returns what runs here.
func (s *state) load() (tasks, weight int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.running {
		weight += w
	}

	return len(s.running), weight
}

// total returns the number of tasks in the list.
func (s *state) total() int {
	s.mu.Lock()
	defer s.mu.Unlock()

	return len(s.weights)
}

// progress returns the progress of --once. Tasks that run elsewhere count as waiting.
func (s *state) progress() progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := progress{Done: len(s.done), Failed: len(s.failed), Running: len(s.running)}
	p.Waiting = max(0, len(s.weights)-p.Done-p.Failed-p.Running)

	return p
}
