package term

import (
	"errors"
	"fmt"
	"reflect"
	"time"
	"unicode/utf8"

	"github.com/ydb-platform/ydb-go-sdk/v3/coordination"

	"tenure/internal/identity"
	"tenure/internal/limit"
)

// Config describes the sessions to open and the data to attach to acquires. Client and Path are required.
type Config struct {
	Client      coordination.Client
	Path        string
	Timeout     time.Duration // of the session; 0: limit.DefaultTimeout
	Description string
	NoCreate    bool   // a missing node is an error
	Data        []byte // nil: identity.Self; empty: none
}

// complete sets the defaults.
func (c *Config) complete() {
	if c.Timeout == 0 {
		c.Timeout = limit.DefaultTimeout
	}
	if c.Data == nil {
		c.Data = []byte(identity.Self())
	}
}

// Check returns an error if a value is invalid. With some invalid values, such as text that is not valid UTF-8, the
// SDK's client would wait forever.
func (c *Config) Check() error {
	switch {
	case isNil(c.Client):
		return errors.New("the coordination client is nil")
	case !utf8.ValidString(c.Path):
		return fmt.Errorf("the node path %q is not valid UTF-8", c.Path)
	case c.Path == "" || c.Path[0] != '/':
		return fmt.Errorf("the node path %q is not absolute: it must begin with the database, e.g. /local/tenure", c.Path)
	case c.Timeout != 0 && (c.Timeout < limit.MinTimeout || c.Timeout > limit.MaxTimeout):
		return fmt.Errorf("the timeout %v is out of range: it must be between %v and %v",
			c.Timeout, limit.MinTimeout, limit.MaxTimeout)
	case !utf8.ValidString(c.Description):
		return fmt.Errorf("the description %q is not valid UTF-8", c.Description)
	case len(c.Description) > limit.Description:
		return fmt.Errorf("the description has %d bytes: the limit is %d", len(c.Description), limit.Description)
	case len(c.Data) > limit.Data:
		return fmt.Errorf("the data has %d bytes: the limit is %d", len(c.Data), limit.Data)
	}

	return nil
}

// isNil reports whether the client is nil or contains a nil pointer.
func isNil(client coordination.Client) bool {
	v := reflect.ValueOf(client)

	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// CheckName returns an error if name is not a valid name for a semaphore. The protocol allows an empty name, but in the
// recipes it is a mistake.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("the semaphore name is empty")
	case !utf8.ValidString(name):
		return errors.New("the semaphore name is not valid UTF-8")
	case len(name) > limit.Name:
		return fmt.Errorf("the semaphore name has %d bytes: the limit is %d", len(name), limit.Name)
	}

	return nil
}
