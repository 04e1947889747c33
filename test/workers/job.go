//go:build unix

package workers

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Job configures the COMMAND of a task.
type Job struct {
	For      time.Duration // how long it works, if it is not told to stop; 0: for ever
	Short    bool          // it ends immediately
	Code     int           // its exit code when it is not told to stop
	Stop     time.Duration // how long it needs to stop
	SlowOne  string        // if set, only this task needs so long
	Stubborn bool          // it does not stop
	Pace     time.Duration // the time between two lines of a job that works; 0: there are none
	Saves    bool          // at each of these lines, it saves a number that grows
}

// Variables of the environment of a job and of its worker.
const (
	stageVariable  = "WORKERS_STAGE"  // the directory with the record
	workerVariable = "WORKERS_WORKER" // the worker, as the test names it
)

// stateFD is the descriptor to which COMMAND writes its state.
const stateFD = 3

// Main is the main function of a job, whose configuration is the argument, as JSON. It returns the exit code.
func Main(argument string) int {
	const failed = 99
	var j Job
	err := json.Unmarshal([]byte(argument), &j)
	if err == nil {
		err = j.run(os.Getenv(stageVariable))
	}
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "job:", err)

		return failed
	}

	return 0
}

type exitCode int

func (e exitCode) Error() string { return "exit code " + strconv.Itoa(int(e)) }

// A runner is a process that runs a job.
type runner struct {
	*Job

	record *Record
	line   Line     // the next one
	alive  *os.File // locked while this process lives
	state  *os.File // takes the states
}

// run works and returns the exit code as an error.
func (j *Job) run(dir string) error {
	told := make(chan os.Signal, 1)
	if signal.Notify(told, syscall.SIGTERM); j.Stubborn {
		signal.Ignore(syscall.SIGTERM)
	}
	r := runner{Job: j}
	var err error
	if r.record, err = OpenRecord(filepath.Join(dir, "record")); err != nil {
		return err
	}
	r.line = Line{Worker: os.Getenv(workerVariable), Task: os.Getenv("TENURE_TASK"), PID: os.Getpid()}
	if r.line.Token, err = strconv.ParseUint(os.Getenv("TENURE_TOKEN"), 10, 64); err != nil {
		return err
	}
	r.alive, err = os.OpenFile(filepath.Join(dir, "alive-"+r.line.Task), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(r.alive.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return errors.Join(err, r.say(Crowded))
	}
	if err := r.begin(); err != nil {
		return err
	}
	stopped, err := r.work(told)
	switch {
	case err != nil:
		return err
	case !stopped:
		return errors.Join(r.say(Ends), r.exit())
	}
	if err := r.say(Told); err != nil {
		return err
	}
	if r.SlowOne == "" || r.SlowOne == r.line.Task {
		err = r.slowDown()
	}

	return errors.Join(err, r.say(Ends))
}

func (r *runner) say(verb Verb) error {
	r.line.Verb = verb

	return r.record.Append(r.line)
}

// begin says that the job begins, and which state it has found.
func (r *runner) begin() (err error) {
	if err := r.say(Begins); err != nil || !r.Saves {
		return err
	}
	r.state = os.NewFile(stateFD, "state")
	if r.line.State, err = readState(); err != nil {
		return err
	}

	return r.say(Had)
}

// step says that the job works, or saves the next state.
func (r *runner) step() error {
	if !r.Saves {
		return r.say(Works)
	}
	r.line.State++
	if err := r.say(Saves); err != nil {
		return err
	}
	_, err := fmt.Fprintln(r.state, r.line.State)

	return err
}

// exit returns the exit code of a job that ends by itself.
func (j *Job) exit() error {
	if j.Code == 0 {
		return nil
	}

	return exitCode(j.Code)
}

// work works until the job is told to stop, or until its time is over.
func (r *runner) work(told <-chan os.Signal) (stopped bool, err error) {
	var over, tick <-chan time.Time
	switch {
	case r.Short:
		return false, nil
	case r.For > 0:
		over = time.After(r.For)
	}
	if r.Pace > 0 {
		tick = time.Tick(r.Pace)
	}
	for {
		select {
		case <-tick:
			if err := r.step(); err != nil {
				return false, err
			}
		case <-over:
			return false, nil
		case <-told:
			return true, nil
		}
	}
}

// slowDown works for the time that the job needs to stop.
func (r *runner) slowDown() error {
	const pace = 10 * time.Millisecond
	for stopped := time.Now().Add(r.Stop); time.Now().Before(stopped); {
		time.Sleep(min(pace, time.Until(stopped)))
		if err := r.say(Works); err != nil {
			return err
		}
	}

	return nil
}

// readState returns the number that an earlier run has saved.
func readState() (int, error) {
	text, err := os.ReadFile(os.Getenv("TENURE_STATE_FILE"))
	if err != nil || len(text) == 0 {
		return 0, err
	}

	return strconv.Atoi(strings.TrimSpace(string(text)))
}
