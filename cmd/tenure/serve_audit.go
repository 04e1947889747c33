package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tenure/internal/audit"
	"tenure/internal/cli"
	"tenure/internal/serverconfig"
)

// auditFlags are the values of the flags about the audit log.
type auditFlags struct {
	file, maxSize, only string
	required            bool
}

func addAudit(cmd *cobra.Command, f *serveFlags) {
	cli.AddFlags(cmd,
		cli.Flag{
			Name: "audit", Group: groupWatching, Arg: "FILE", Example: "/var/log/tenure/audit.log", Value: &f.audit.file,
			Usage: "audit log: a line of JSON for each grant, its end, and each refusal; - is standard output",
		},
		cli.Flag{
			Name: "audit-max-size", Group: groupWatching, Arg: "SIZE", Example: "100M", Value: &f.audit.maxSize,
			Usage: "size at which the audit log begins a new file; 10 files are kept; 0 never does",
			Check: func() error { _, err := parseSize(f.audit.maxSize); return err },
		},
		cli.Flag{
			Name: "audit-only", Group: groupWatching, Arg: "PATTERN", Example: "prod-*", Value: &f.audit.only,
			Usage: "semaphores in the audit log (default: all)",
			Check: func() error { return checkPattern(f.audit.only) },
		},
		cli.Flag{
			Name: "audit-required", Group: groupWatching, Value: &f.audit.required,
			Usage: "answer only when the lines are in the audit log: while it cannot be written, nothing is granted, and " +
				"locks may be lost",
		},
	)
}

// checkAudit returns what is wrong with the flags about the audit log.
func (f *serveFlags) checkAudit(cmd *cobra.Command) error {
	for _, flag := range []string{"audit-max-size", "audit-only"} {
		if f.audit.file == "" && cli.OnLine(cmd, flag) {
			return fmt.Errorf("--%s is for an audit log: pass --audit, or leave --%s out", flag, flag)
		}
	}
	if f.audit.file == "" && f.audit.required {
		name := cli.Setting(cmd, "audit-required")

		return fmt.Errorf("%s is for an audit log: pass --audit, or leave %s out", name, name)
	}
	if f.audit.file == "" || f.audit.file == "-" {
		return nil
	}

	return auditError(cmd, f, checkLog(f.audit.file))
}

// checkLog checks that the file can be written or created.
func checkLog(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = file.Close()
		}

		return err
	}
	if !creatable(filepath.Dir(path)) {
		return fmt.Errorf("no file can be created in %s: create the directory, or change its owner or mode",
			filepath.Dir(path))
	}

	return nil
}

// auditError says that an error is about the file of the audit log.
func auditError(cmd *cobra.Command, f *serveFlags, err error) error {
	if err == nil {
		return nil
	}
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		err = failed.Err
	}

	return fmt.Errorf("%s=%q: cannot write the audit log: %w", cli.Setting(cmd, "audit"), f.audit.file, err)
}

// openAudit opens the audit log, if there is to be one, and adds it to the options. The caller must close it.
func (p *plan) openAudit(env *cli.Env, cmd *cobra.Command, f *serveFlags) error {
	if f.audit.file == "" {
		return nil
	}
	size, err := parseSize(f.audit.maxSize)
	if err != nil {
		return err
	}
	c := audit.Config{Path: f.audit.file, MaxSize: size, Only: f.audit.only, Required: f.audit.required, Logger: p.log}
	if f.audit.file == "-" {
		c.Writer = env.Stdout
	}
	log, err := audit.Open(c)
	if err != nil {
		return auditError(cmd, f, err)
	}
	p.audit = log
	p.opts = append(p.opts, func(c *serverconfig.Config) { c.Audit = log })

	return nil
}

// parseSize reads a number of bytes with an optional unit, such as 100M.
func parseSize(text string) (int64, error) {
	digits, shift := text, 0
	for unit, bits := range map[string]int{"K": 10, "M": 20, "G": 30} {
		if d, ok := strings.CutSuffix(strings.ToUpper(text), unit); ok {
			digits, shift = d, bits
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > 1<<62>>shift {
		return 0, fmt.Errorf("is not a size: write e.g. 100M")
	}

	return n << shift, nil
}
