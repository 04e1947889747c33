package server

import "tenure/internal/node"

// refused returns the result of a request that is answered without the node. It returns nil for requests that have no
// result, which are Stop and those that no client sends.
func refused(req node.Request, status node.Status, issue string) node.Message {
	result := func(req uint64) node.Result { return node.Result{Req: req, Status: status, Issue: issue} }
	switch r := req.(type) {
	case node.Acquire:
		return node.Acquired{Result: result(r.Req)}
	case node.Release:
		return node.Released{Result: result(r.Req)}
	case node.Describe:
		return node.Described{Result: result(r.Req)}
	case node.Create:
		return node.Created{Result: result(r.Req)}
	case node.Update:
		return node.Updated{Result: result(r.Req)}
	case node.Delete:
		return node.Deleted{Result: result(r.Req)}
	default:
		return nil
	}
}
