package access

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A word is a part of a line. A word of the form key=value has both.
type word struct {
	text  string
	key   string // empty: the word is not of the form key=value
	value string
}

// splitLine returns the words of a line, which blanks and tabs separate. A word that begins with # begins a comment.
// Double quotes include blanks and # in a word: "/local/a b", cert="CN:Ann Lee". There is no way to write a quote.
func splitLine(line string) ([]word, error) {
	if err := checkText(line); err != nil {
		return nil, err
	}
	var list []word
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" || line[0] == '#' {
			return list, nil
		}
		var (
			text   strings.Builder
			quoted bool // inside of quotes
			equals = -1 // the place of the first = outside of quotes
			end    = len(line)
		)
		for i := range len(line) {
			c := line[i]
			if !quoted && (c == ' ' || c == '\t') {
				end = i

				break
			}
			switch {
			case c == '"':
				quoted = !quoted

				continue
			case c == '=' && !quoted && equals < 0:
				equals = text.Len()
			}
			text.WriteByte(c)
		}
		if quoted {
			return nil, errors.New(`a quote is not closed: add the closing "`)
		}
		w := word{text: text.String()}
		if equals >= 0 {
			w.key, w.value = w.text[:equals], w.text[equals+1:]
		}
		list = append(list, w)
		line = line[end:]
	}
}

// checkText refuses characters that an editor does not show. They would make two lines look alike that are not.
func checkText(line string) error {
	for i, r := range line {
		switch {
		case r == utf8.RuneError:
			if _, size := utf8.DecodeRuneInString(line[i:]); size <= 1 {
				return fmt.Errorf("byte %d is not UTF-8: save the file as UTF-8", i+1)
			}
		case r != '\t' && !unicode.IsGraphic(r), r != ' ' && unicode.Is(unicode.Zs, r):
			return fmt.Errorf("byte %d begins the invisible character %U: remove it", i+1, r)
		}
	}

	return nil
}

// maxName is the length of the longest name of a user or a group.
const maxName = 128

// CheckName returns an error if the text cannot be the name of a user or a group.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty: write a name")
	case name == everybody:
		return fmt.Errorf("%q stands for all users and cannot be a name: write another name", name)
	case strings.HasSuffix(name, "@builtin"), strings.HasSuffix(name, "@well-known"):
		return fmt.Errorf("the name %q is reserved: write a name that does not end in @builtin or @well-known", name)
	case len(name) > maxName:
		return fmt.Errorf("the name %.20q... has %d bytes: write a name of at most %d bytes", name, len(name), maxName)
	}
	for _, r := range name {
		if unicode.IsSpace(r) || !unicode.IsGraphic(r) || strings.ContainsRune("=,#\"", r) {
			return fmt.Errorf("the name %q contains %q: write a name without blanks, quotes, =, comma and #", name, r)
		}
	}

	return nil
}

// everybody stands for all users in grants and limits.
const everybody = "all"

// checkPath refuses paths that the server would never ask for.
func checkPath(path string) error {
	if path == "/" {
		return nil
	}
	clean := make([]string, 0, 8)
	for part := range strings.SplitSeq(path, "/") {
		if part == "" {
			continue
		}
		if strings.Trim(part, ".") == "" {
			return fmt.Errorf("the path %q contains %q: write the path without it", path, part)
		}
		clean = append(clean, part)
	}
	if want := "/" + strings.Join(clean, "/"); path != want {
		return fmt.Errorf("the path %q must begin with a slash, without doubled and trailing slashes: write %q", path, want)
	}

	return nil
}
