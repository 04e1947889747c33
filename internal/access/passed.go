package access

import (
	"encoding/json"
	"errors"
)

// passed is the encoding of a Shown. Servers of different versions read it.
type passed struct {
	Kind    kind   `json:"kind"`
	Sum     []byte `json:"sum,omitempty"`
	UID     uint32 `json:"uid,omitempty"`
	Names   string `json:"names,omitempty"`
	User    string `json:"user,omitempty"`
	Gen     string `json:"gen,omitempty"`
	Expires int64  `json:"expires,omitempty"`
	Reason  Reason `json:"reason,omitempty"`
}

// MarshalBinary encodes what a caller showed to one server for another server that trusts the first. It implements
// encoding.BinaryMarshaler.
func (s Shown) MarshalBinary() ([]byte, error) {
	p := passed{
		Kind: s.kind, UID: s.uid, Names: s.names,
		User: s.login.user, Gen: s.login.gen, Expires: s.login.expires, Reason: s.login.reason,
	}
	if s.sum != (sum{}) {
		p.Sum = s.sum[:]
	}

	return json.Marshal(p)
}

// UnmarshalBinary decodes what another server has encoded. The caller must know that it was a server. It implements
// encoding.BinaryUnmarshaler.
func (s *Shown) UnmarshalBinary(data []byte) error {
	var p passed
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	if p.Kind > shownUID || len(p.Sum) != 0 && len(p.Sum) != len(s.sum) {
		return errors.New("a caller showed what this version does not know")
	}
	*s = Shown{kind: p.Kind, uid: p.UID, names: p.Names, login: login{p.User, p.Gen, p.Expires, p.Reason}}
	copy(s.sum[:], p.Sum)

	return nil
}
