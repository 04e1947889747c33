package cli

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// An entry is a key of the configuration file, with its value.
type entry struct {
	file  string
	line  int
	table string // name of a command; empty: the key is for all commands that have the flag
	key   string // name of a flag
	value any
}

// String names the entry in messages. It stands where the name of a flag or a variable could stand.
func (e *entry) String() string { return fmt.Sprintf("%s:%d: %s", e.file, e.line, e.path()) }

// path is the key with its table.
func (e *entry) path() string { return strings.TrimPrefix(e.table+"."+e.key, ".") }

// parseConfig returns the entries of a configuration file in the order of their lines. The command's name is also the
// name of a table.
func parseConfig(file string, text []byte, command string) ([]*entry, error) {
	var values map[string]any
	if err := toml.Unmarshal(text, &values); err != nil {
		line := 0
		if at, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, _ = at.Position()
		}

		return nil, fmt.Errorf("%s:%d: %s", file, line, strings.TrimPrefix(err.Error(), "toml: "))
	}
	lines := configLines(text)
	var entries []*entry
	for _, key := range slices.Sorted(maps.Keys(values)) {
		table, ok := values[key].(map[string]any)
		if !ok {
			entries = append(entries, &entry{file: file, line: lines[key], key: key, value: values[key]})

			continue
		}
		if key != command && !slices.Contains(configTables, key) {
			hint := "a table has the name of a command"
			if name := Closest(key, append([]string{command}, configTables...)); name != "" {
				hint = fmt.Sprintf("did you mean %q?", name)
			}

			return nil, fmt.Errorf("%s:%d: unknown table %q: %s", file, lines[key], key, hint)
		}
		for name, value := range table {
			line := cmp.Or(lines[key+"."+name], lines[key]) // the table may be written in one line
			entries = append(entries, &entry{file: file, line: line, table: key, key: name, value: value})
		}
	}
	slices.SortFunc(entries, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.line, b.line), strings.Compare(a.path(), b.path()))
	})

	return entries, nil
}

// configLines returns the lines of all keys and tables in a valid file.
func configLines(text []byte) map[string]int {
	lines := map[string]int{}
	var table []string
	var p unstable.Parser
	p.Reset(text)
	for p.NextExpression() {
		node := p.Expression()
		var path []string
		var line int
		if node.Kind == unstable.KeyValue {
			path = slices.Clone(table)
		}
		for it := node.Key(); it.Next(); {
			path = append(path, string(it.Node().Data))
			line = p.Shape(it.Node().Raw).Start.Line
			if name := strings.Join(path, "."); lines[name] == 0 {
				lines[name] = line
			}
		}
		if node.Kind != unstable.KeyValue {
			table = path
		}
	}

	return lines
}

// flag returns the flag of cmd that the entry sets; nil if the entry is for other commands.
func (e *entry) flag(cmd *cobra.Command) (*pflag.Flag, error) {
	own := configTable(cmd)
	if e.table == "" || e.table == own {
		if f := cmd.Flags().Lookup(e.key); f != nil && f.Name == e.key && configurable(f) {
			return f, nil
		}
	}
	if e.table != own && slices.Contains(configKeys, e.key) {
		return nil, nil
	}
	names, hint := configKeys, "see the help of that command"
	if e.table == "" || e.table == own {
		names, hint = nil, see(cmd)
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if configurable(f) {
				names = append(names, f.Name)
			}
		})
	}
	if name := Closest(e.key, names); name != "" {
		hint = fmt.Sprintf("did you mean %q?", name)
	}

	return nil, fmt.Errorf("%s:%d: unknown key %q: %s", e.file, e.line, e.path(), hint)
}

// configurable reports whether the configuration file may set the flag.
func configurable(f *pflag.Flag) bool { return settingOf(f) != nil && f.Name != "print-config" }

// check checks the type of the value.
func (e *entry) check(s *setting) error {
	switch value := e.value.(type) {
	case string:
		if t := s.Type(); t == "string" || t == "duration" || t == "stringArray" {
			return e.empty(s, value)
		}
	case bool:
		if s.Type() == "bool" {
			return nil
		}
	case int64:
		if t := s.Type(); t == "int" || t == "uint64" || t == "float64" {
			return nil
		}
	case float64:
		if s.Type() == "float64" {
			return nil
		}
	case []any:
		isText := func(v any) bool { _, ok := v.(string); return ok }
		noText := func(v any) bool { return !isText(v) }
		if s.Type() == "stringArray" && len(value) > 0 && !slices.ContainsFunc(value, noText) {
			return nil
		}
	}

	return fmt.Errorf("%s must be %s", e, configType(s))
}

// empty returns an error if the text is empty.
func (e *entry) empty(s *setting, text string) error {
	if text != "" {
		return nil
	}

	return fmt.Errorf("%s is empty: write %s = %q, or leave the key out", e, e.key, cmp.Or(s.row.Example, s.row.Arg))
}

// texts returns the value as texts for the flag.
func (e *entry) texts() []string {
	list, ok := e.value.([]any)
	if !ok {
		list = []any{e.value}
	}
	var texts []string
	for _, value := range list {
		texts = append(texts, fmt.Sprint(value))
	}

	return texts
}

// badValue describes a text that the flag refuses.
func (e *entry) badValue(s *setting, text string) error {
	if text == "" {
		return e.empty(s, text)
	}

	return fmt.Errorf("%s=%q is not %s", e, redacted(text), wanted(s))
}

// configType says what a value of the flag looks like in the file.
func configType(s *setting) string {
	switch s.Type() {
	case "string":
		return "a string"
	case "duration":
		return `a duration in quotes: write e.g. "10s"`
	case "stringArray":
		return "a string, or an array of strings"
	case "float64":
		return "a number"
	case "bool":
		return "true or false"
	}

	return "a whole number"
}
