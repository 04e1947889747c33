package workerscmd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"tenure/internal/cli"
	"tenure/internal/clientconfig"
	"tenure/internal/clock"
	"tenure/internal/identity"
	"tenure/internal/tasklist"
	terms "tenure/internal/term"
	"tenure/workers"
)

const (
	// watchPause is the time between two tables of --watch.
	watchPause = 2 * time.Second

	// lookLimit is the time limit for the table that a signal asks for.
	lookLimit = 30 * time.Second
)

// look prints the table of the pool, once or again and again.
func (w *worker) look(ctx context.Context) error {
	client, err := w.Open(ctx, w.monitor)
	if err != nil {
		return err
	}
	defer client.Close(ctx)
	if !w.watch {
		t, err := w.table(ctx, client, w.specs)
		if err != nil {
			return err
		}

		w.hint(t)

		return w.printOn(w.env.Data, t)
	}
	d := &drawing{out: w.env.Data}
	if stdout, _ := w.env.Inherited(); w.output == "text" {
		if file, ok := stdout.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
			d.size = func() (width, height int, err error) { return term.GetSize(int(file.Fd())) }
		}
	}
	for said := ""; ctx.Err() == nil; clock.Pause(ctx, w.clock, watchPause) {
		t, err := w.table(ctx, client, w.specs)
		switch {
		case ctx.Err() != nil:
		case err != nil && err.Error() != said:
			said = err.Error()
			w.complain(errors.New(said + ": trying again"))
		case err != nil:
		case w.output == "json":
			said, err = "", w.printOn(w.env.Data, t)
		default:
			said, err = "", d.draw(t.text())
		}
		if err != nil && said == "" {
			return err
		}
	}

	return nil
}

// hint says which pool the table shows if nobody is in it, and tasks are left: most likely, the workers were started
// with another list of tasks.
func (w *worker) hint(t *table) {
	if len(t.Workers) == 0 && len(t.Unassigned) > 0 && w.output == "text" {
		w.complain(fmt.Errorf("no worker is in the pool %q of node %q: to see another pool, pass the --path, the --pool, "+
			"and the --tasks, --task or --tasks-file of its workers", cmp.Or(w.pool(), defaultPool), w.Path))
	}
}

// printOn prints the table in the format of --output.
func (w *worker) printOn(out io.Writer, t *table) error {
	if w.output == "json" {
		return json.NewEncoder(out).Encode(t)
	}
	_, err := io.WriteString(out, t.text())

	return err
}

// printTable prints the table on standard error because a signal asks for it.
func (w *worker) printTable(ctx context.Context, client *cli.Client) {
	limited, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	t, err := w.table(limited, client, w.state.list())
	switch {
	case ctx.Err() != nil:
	case err != nil:
		w.complain(fmt.Errorf("cannot read the table: %w", err))
	case w.events != nil:
		w.report(event{Event: "table", Table: t}, "")
	case w.logFormat == "json":
		_ = json.NewEncoder(w.stderr).Encode(event{Event: "table", Time: cli.Stamp(w.clock), Table: t})
	default:
		_, _ = io.WriteString(w.rawStderr(), t.text())
	}
}

// table reads the table of the pool.
func (w *worker) table(ctx context.Context, client *cli.Client, specs []tasklist.Spec) (*table, error) {
	opts := []workers.Option{workers.WithTimeout(cli.LookTimeout), workers.WithDescription("workers --status")}
	if pool := w.pool(); pool != "" {
		opts = append(opts, workers.WithPool(pool))
	}
	if !w.Embedded() { // its notices say what it waits for
		ctx = clientconfig.LimitOpening(ctx, w.ConnectTimeout)
	}
	status, err := workers.Look(ctx, client, w.Path, workers.List(specs...), opts...)
	if err != nil {
		return nil, terms.Bare(err)
	}

	return newTable(status, w.Path, w.clock.Time(w.clock.Now()), w.ownSession.Load()), nil
}

// newTable returns the table for a status. Own is the session of this process; 0: none.
func newTable(status *workers.Status, node string, now time.Time, own uint64) *table {
	t := &table{
		Node: node, Time: now.UTC().Truncate(time.Millisecond), Tasks: []row{}, Unassigned: []string{}, Workers: []member{},
	}
	loads := map[uint64]int{}
	for _, s := range status.Tasks {
		loads[s.Session] += s.Weight
		t.Tasks = append(t.Tasks, newRow(s))
	}
	t.Unassigned = append(t.Unassigned, status.Unassigned...)
	for _, m := range status.Members {
		mode := assignBalanced
		if m.Greedy {
			mode = assignGreedy
		}
		t.Workers = append(t.Workers, member{
			Worker: m.Name, Who: m.Who, Session: m.Session, Capacity: m.Capacity, Load: loads[m.Session], Tasks: m.Running,
			Mode: mode, Labels: m.Labels, Leaving: m.Leaving, Differs: m.Differs, Self: own != 0 && m.Session == own,
		})
	}
	t.sort()

	return t
}

func newRow(s workers.TaskStatus) row {
	at := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = t.UTC().Truncate(time.Millisecond)

		return &t
	}
	r := row{
		Task: s.Name, Weight: s.Weight, State: string(s.State), Worker: s.Worker, Since: at(s.Since), Heard: at(s.Heard),
		Token: s.Token, Failures: s.Failures, Failure: s.Reason, FailedAt: at(s.Failed),
	}
	switch s.State {
	case workers.Free:
		r.State = stateUnassigned
	case workers.Outside:
		if r.Worker = identity.ReadCard(s.Data).Who; r.Worker == "" {
			r.Worker = fmt.Sprintf("session %d", s.Session)
		}
	case workers.Success: // the time is that of the success
		r.Done, r.FailedAt = r.FailedAt, nil
	}

	return r
}

// A drawing shows a text that changes, in place on a terminal.
type drawing struct {
	out   io.Writer
	size  func() (width, height int, err error) // of the terminal; nil: there is none
	drawn bool
}

const (
	clearScreen = "\x1b[2J"
	home        = "\x1b[H"
	clearRight  = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// draw replaces the text. Without a terminal, it prints the text below the previous one.
func (d *drawing) draw(text string) error {
	before := ""
	if d.drawn {
		before = "\n"
	}
	if d.size != nil {
		before = home
		if !d.drawn {
			before = clearScreen + home
		}
		width, height, err := d.size()
		if err == nil {
			text = cut(text, width, height)
		}
		text = strings.ReplaceAll(text, "\n", clearRight+"\n") + clearBelow
	}
	d.drawn = true
	_, err := io.WriteString(d.out, before+text)

	return err
}

// cut returns as much of the text as a terminal of this size shows. The cursor stays in the last line.
func cut(text string, width, height int) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if room := height - 1; len(lines) > room && room > 1 {
		more := len(lines) - room + 1
		lines = append(lines[:room-1], fmt.Sprintf("... and %d more lines", more))
	}
	for i, line := range lines {
		lines[i] = clip(line, width)
	}

	return strings.Join(lines, "\n") + "\n"
}
