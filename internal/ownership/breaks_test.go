package ownership_test

import (
	"slices"
	"strings"

	"tenure/internal/ownership"
)

// breaks is a way to break the design on purpose. TestSimulation_NoticesBreaks checks that each one is noticed.
type breaks string

const (
	intact               breaks = ""
	readWithoutProof     breaks = "read without proof"     // answer a batch without changes immediately
	believeLease         breaks = "believe lease"          // do so while the registration seems to exist
	oldProofs            breaks = "old proofs"             // accept a proof of the last 100 ms
	staleReads           breaks = "stale reads"            // prove with reads that are not linearizable
	claimWithoutCompare  breaks = "claim without compare"  // do not compare the owner's key in a claim
	commitWithoutCompare breaks = "commit without compare" // nor in a commit
	foldWithoutCompare   breaks = "fold without compare"   // nor in a step of a fold
	foldWithoutMark      breaks = "fold without mark"      // do not compare the mark there
	forgetUnknown        breaks = "forget unknown"         // take an unknown outcome of a commit for a success
	denyUnknown          breaks = "deny unknown"           // take it for a failure
	forgetDrop           breaks = "forget drop"            // delete the owner's key of a dropped space
	forgetRefusal        breaks = "forget refusal"         // leave a space to a server that does not serve it
)

var allBreaks = []breaks{
	readWithoutProof, believeLease, oldProofs, staleReads, claimWithoutCompare, commitWithoutCompare,
	foldWithoutCompare, foldWithoutMark, forgetUnknown, denyUnknown, forgetDrop,
	forgetRefusal,
}

// change changes a transaction before it is sent.
func (b breaks) change(t ownership.Txn) ownership.Txn {
	writes := func(prefix string) bool {
		return slices.ContainsFunc(t.Then, func(op ownership.Op) bool {
			return op.Kind == ownership.Put && strings.HasPrefix(op.Key, prefix)
		})
	}
	without := func(prefix string) {
		t.If = slices.DeleteFunc(slices.Clone(t.If), func(c ownership.Compare) bool {
			return strings.HasPrefix(c.Key, prefix)
		})
	}
	switch commit, fold := writes("j/"), writes("f/"); {
	case b == commitWithoutCompare && commit, b == foldWithoutCompare && fold,
		b == claimWithoutCompare && !commit && !fold:
		without(ownership.OwnerKeys)
	case b == foldWithoutMark && fold:
		without("f/")
	case b == forgetDrop && commit:
		t.Then = slices.Clone(t.Then)
		for i, op := range t.Then {
			if strings.HasPrefix(op.Key, ownership.OwnerKeys) {
				t.Then[i] = ownership.Op{Kind: ownership.Delete, Key: op.Key}
			}
		}
	}

	return t
}

// proofless reports whether the host answers a batch without changes without a proof.
func (b breaks) proofless(h *host) bool {
	switch b {
	case readWithoutProof:
		return true
	case believeLease:
		return !h.server.registering
	case oldProofs:
		return h.proved != 0 && h.server.w.now <= h.proved+100
	default:
		return false
	}
}

// unknown handles an unknown outcome of a transaction in a broken way, or returns false.
func (b breaks) unknown(h *host, a ownership.Send, of *batch) bool {
	if of == nil || len(a.Txn.If) == 0 || !strings.HasPrefix(a.Txn.Then[0].Key, "j/") {
		return false
	}
	switch b {
	case forgetUnknown:
		h.call(func(fx *ownership.Effects) { h.core.Answer(a.ID, ownership.Result{Succeeded: true}, fx) })
	case denyUnknown:
		of.denied = true
		if of.applied {
			h.server.w.fail("V2: a batch was applied, although its clients are told that it was not")
		}
		h.abandon()
	default:
		return false
	}

	return true
}
