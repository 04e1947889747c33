package access

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// claims are the content of a token that Login issues. The SDKs of YDB parse such a token without its key. They require
// a JSON Web Token with the claim exp.
type claims struct {
	jwt.RegisteredClaims

	Gen string `json:"gen"` // see generation
}

// maxTicket is the length of the longest token that is parsed.
const maxTicket = 4096

// issue returns a token for the user.
func (a *Authority) issue(u *User, now time.Time) (string, error) {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails
	c := claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Subject:   u.Name,
			Audience:  jwt.ClaimStrings{a.config.Database},
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(a.config.Lifetime)),
			ID:        hex.EncodeToString(id), // so that two logins in the same second have different tokens
		},
		Gen: u.gen,
	}

	return jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(a.config.Key)
}

// claims returns the claims of a token that looks like one that issue returns. It does not check what depends on the
// time and on the policy.
func (a *Authority) claims(token string) (l login, ok bool) {
	if strings.Count(token, ".") != 2 || len(token) > maxTicket {
		return login{}, false
	}
	var c claims
	parser := jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithoutClaimsValidation())
	_, err := parser.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return a.config.Key, nil })
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return login{}, false
	case err != nil, c.ExpiresAt == nil:
		return login{reason: BadSignature}, true
	}
	l = login{user: c.Subject, gen: c.Gen, expires: c.ExpiresAt.Unix()}
	if !slices.Equal(c.Audience, jwt.ClaimStrings{a.config.Database}) {
		l.reason = WrongDatabase
	}

	return l, true
}
