package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// A token is tokenStart and 36 bytes in base64url: 32 random ones, and their CRC-32. The checksum tells a mistyped
// token from one that the server does not know, and scanners for leaked secrets recognise both parts.
const (
	tokenStart  = "tnr_"
	tokenSecret = 32
	tokenLength = len(tokenStart) + (tokenSecret+4)/3*4
)

// NewToken returns a new token, and its hash in the form that a tokens file has after "token=".
func NewToken() (token, hash string) {
	secret := make([]byte, tokenSecret, tokenSecret+4)
	_, _ = rand.Read(secret) // never fails
	secret = binary.BigEndian.AppendUint32(secret, crc32.ChecksumIEEE(secret))
	token = tokenStart + base64.RawURLEncoding.EncodeToString(secret)

	return token, HashToken(token)
}

// HashToken returns the hash of a token in the form that a tokens file has after "token=".
func HashToken(token string) string {
	digest := sha256.Sum256([]byte(token))

	return tokenPrefix + hex.EncodeToString(digest[:])
}

// IsToken reports whether the text is meant as a token that NewToken made.
func IsToken(text string) bool { return strings.HasPrefix(text, tokenStart) }

// Mistyped reports whether the text is meant as a token that NewToken made, but is not one: characters are missing or
// have changed.
func Mistyped(text string) bool {
	if !IsToken(text) {
		return false
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(text[len(tokenStart):])

	return len(text) != tokenLength || err != nil ||
		crc32.ChecksumIEEE(data[:tokenSecret]) != binary.BigEndian.Uint32(data[tokenSecret:])
}

// DefaultCost is the cost of the passwords that HashPassword makes for users.
const DefaultCost = 12

// HashPassword returns the hash of a password in the form that a tokens file has after "password=".
func HashPassword(password string, cost int) (string, error) {
	if len(password) > maxPassword {
		return "", fmt.Errorf("the password has %d bytes: choose one of at most %d", len(password), maxPassword)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		return "", fmt.Errorf("hash the password: %w", err)
	}

	return "$2b" + string(hash[3:]), nil // as other programs write it; bcrypt writes $2a, which means the same
}
