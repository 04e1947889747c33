package catalog

import "tenure/internal/node"

// Limits bound what a catalog takes in. The zero value has no limits.
type Limits struct {
	Entries int                // nodes and directories; 0: no limit
	Full    func() string      // returns why nothing more can be created, or ""; nil: it always can
	Refused func(limit string) // is told which limit has refused something: nodes or disk; nil: nobody is
}

// Limit sets the limits. It must be called before the catalog is used.
func (c *Catalog) Limit(l Limits) { c.limits = l }

// room returns an error if the catalog cannot have this many entries.
func (l Limits) room(entries int) error {
	switch {
	case l.Entries > 0 && entries > l.Entries:
		l.refused("nodes")

		return refuse(node.PreconditionFailed, "there are too many nodes and directories (the limit is %d)", l.Entries)
	case l.Full == nil:
		return nil
	}
	if issue := l.Full(); issue != "" {
		l.refused("disk")

		return &Error{Status: node.Overloaded, Issue: issue}
	}

	return nil
}

func (l Limits) refused(limit string) {
	if l.Refused != nil {
		l.Refused(limit)
	}
}
