package workerscmd

import (
	"context"
	"errors"
	"fmt"
	"path"

	"tenure/internal/cli"
	"tenure/internal/tasklist"
)

// loadTasks reads the list of tasks that the flags name. If it can change, w.list watches it afterwards.
func (w *worker) loadTasks(ctx context.Context) (err error) {
	opts := []tasklist.Option{
		tasklist.WithReload(w.reload), tasklist.WithReport(func(line string) { w.complain(errors.New(line)) }),
	}
	var setting string
	switch {
	case w.listFile != "":
		setting = "tasks-file"
		w.list = tasklist.File(w.listFile, opts...)
	case w.listCommand != "":
		setting = "tasks-command"
		w.list = tasklist.Command(cli.Setting(w.cmd, setting), w.listCommand, w.refresh, opts...)
	case len(w.named) > 0:
		setting = "task"
		w.specs, err = tasklist.Words(w.named)
	default:
		setting = "semaphore-prefix"
		w.specs, err = tasklist.Numbered(w.prefix, w.tasks)
	}
	if w.list != nil {
		w.specs, err = w.list.Load(ctx)
	}
	switch {
	case err == nil:
		w.warn(w.specs)

		return nil
	case setting == "tasks-command": // the name of the list
		return err
	}

	return fmt.Errorf("%s: %w", cli.Setting(w.cmd, setting), err)
}

// warn reports tasks of the list that this process cannot take.
func (w *worker) warn(specs []tasklist.Spec) {
	matching := 0
	var heavy []string
	for _, s := range specs {
		if matches, _ := path.Match(w.only, s.Name); w.only != "" && !matches { // check has checked the pattern
			continue
		}
		matching++
		if s.Weight > w.capacity && w.capacity > 0 {
			heavy = append(heavy, s.Name)
		}
	}
	if matching == 0 {
		w.complain(fmt.Errorf("%s=%q matches none of %s: this process takes none", cli.Setting(w.cmd, "only"), w.only,
			tasks(len(specs))))
	}
	if len(heavy) > 0 {
		w.complain(fmt.Errorf("this process cannot take %d of %s, whose weight is above %s=%d: %s", len(heavy),
			tasks(len(specs)), cli.Setting(w.cmd, "capacity"), w.capacity, some(heavy)))
	}
}

// answerReload answers to a signal that asks to read a list again that cannot change.
func (w *worker) answerReload() {
	w.complain(errors.New("the list of tasks does not change: to change it while workers runs, use --tasks-file or " +
		"--tasks-command"))
}
