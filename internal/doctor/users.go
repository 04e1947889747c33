package doctor

import (
	"maps"
	"slices"
	"strings"

	"tenure/internal/printable"
)

// NoUsers is the digest of a server without a tokens file.
const NoUsers = "none"

// Users judges whether servers that share a store have the same users and rights. The keys are their addresses, and the
// values are digests of their tokens files. The servers that do not tell theirs are not among them.
func Users(digests map[string]string) []Line {
	const check = "users"
	if len(digests) < 2 {
		return nil
	}
	having := make(map[string][]string) // the servers with each digest
	for _, at := range slices.Sorted(maps.Keys(digests)) {
		having[digests[at]] = append(having[digests[at]], at)
	}
	open := having[NoUsers]
	delete(having, NoUsers)
	number := printable.Count(len(digests), "server", "servers")
	switch {
	case len(having) == 0:
		return []Line{ok(check, "%s have no tokens file", number)}
	case len(having) == 1 && len(open) == 0:
		return []Line{ok(check, "%s have the same users and rights", number)}
	}
	var lines []Line
	if len(open) > 0 {
		lines = append(lines, Line{
			Check: check, Result: Bad, Found: "every caller has all rights on " + strings.Join(open, ", ") +
				", without a tokens file, and not on the other servers",
			Do: "start all of them with the same --tokens file",
		})
	}
	if len(having) > 1 {
		groups := slices.SortedFunc(maps.Values(having), func(a, b []string) int {
			if len(a) != len(b) {
				return len(b) - len(a) // most servers first
			}

			return strings.Compare(a[0], b[0])
		})
		texts := make([]string, len(groups))
		for i, servers := range groups {
			texts[i] = "those of " + strings.Join(servers, ", ")
		}
		lines = append(lines, Line{
			Check: check, Result: Bad,
			Found: "the servers do not have the same users and rights: " + strings.Join(texts, " differ from "),
			Do:    "give all of them the same tokens file",
		})
	}

	return lines
}
