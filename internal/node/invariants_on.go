//go:build race || invariants

package node

const invariants = true
