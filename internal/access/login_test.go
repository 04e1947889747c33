package access

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"tenure/internal/bubbletest"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// right is the password of everybody for a fake of bcrypt.
const right = "right"

func someHash(cost int) string { return strings.Replace(decoy(cost), "OO", "xx", 1) }

// authority returns an authority with users who have passwords, which fake checks.
func authority(t *testing.T, fake func(hash, password []byte) error) *Authority {
	t.Helper()
	p, err := Parse("tokens", fmt.Appendf(nil, "user ann password=%s\nuser bob password=%s\nuser cat token=sha256:%064d\n"+
		"user dan password=%s expires=2026-01-01", someHash(10), someHash(12), 0, someHash(11)))
	require.NoError(t, err)
	a := NewAuthority(p, AuthorityConfig{Database: "/local"})
	a.logins.hash = fake

	return a
}

func isRight(_, password []byte) error {
	if string(password) == right {
		return nil
	}

	return bcrypt.ErrMismatchedHashAndPassword
}

func try(t *testing.T, a *Authority, user, password, address string, now time.Time) (string, error) {
	t.Helper()

	return a.Login(t.Context(), user, password, Origin{Address: address}, now)
}

func TestLogin_WithBcrypt(t *testing.T) {
	t.Parallel()
	const cheap = 4 // less than a tokens file may have, because the race detector makes bcrypt slow
	hash, err := HashPassword("pass word", cheap)
	require.NoError(t, err)
	ann := &User{Name: "ann", password: hash, gen: generation("ann", hash)}
	a := NewAuthority(&Policy{users: map[string]*User{"ann": ann}, maxCost: cheap}, AuthorityConfig{Database: "/local"})
	token, err := try(t, a, "ann", "pass word", "10.0.0.1", noon)
	require.NoError(t, err)
	u, err := a.Identify(a.ShowToken(token), noon)
	require.NoError(t, err)
	require.Same(t, ann, u)
	_, err = try(t, a, "ann", "pass Word", "10.0.0.1", noon)
	require.EqualError(t, err, `user "ann": wrong user or password`)
	require.ErrorIs(t, bcrypt.CompareHashAndPassword([]byte(decoy(4)), nil), bcrypt.ErrMismatchedHashAndPassword)
	_, err = HashPassword(strings.Repeat("x", 73), cheap)
	require.EqualError(t, err, "the password has 73 bytes: choose one of at most 72")
}

// The SDKs of YDB parse the token without its key: a JSON Web Token with HS256 and the claim exp.
func TestLogin_TokenIsAJWT(t *testing.T) {
	t.Parallel()
	a := authority(t, isRight)
	token, err := try(t, a, "ann", right, "10.0.0.1", noon)
	require.NoError(t, err)
	var claims jwt.MapClaims
	parsed, _, err := jwt.NewParser().ParseUnverified(token, &claims)
	require.NoError(t, err)
	require.Equal(t, "HS256", parsed.Method.Alg())
	require.InDelta(t, noon.Add(12*time.Hour).Unix(), claims["exp"], 0)
	require.InDelta(t, noon.Unix(), claims["iat"], 0)
	require.Equal(t, "ann", claims["sub"])
	require.Equal(t, []any{"/local"}, claims["aud"])
	require.Len(t, claims["gen"], 16)
	again, err := try(t, a, "ann", right, "10.0.0.1", noon)
	require.NoError(t, err)
	require.NotEqual(t, token, again)
}

func TestLogin_TokenIsValidUntil(t *testing.T) {
	t.Parallel()
	a := authority(t, isRight)
	token, err := try(t, a, "ann", right, "10.0.0.1", noon)
	require.NoError(t, err)
	shown := a.ShowToken(token)
	require.NotContains(t, fmt.Sprintf("%v %+v", shown, shown), token[len(token)-10:])

	reason := func(identify func(Shown, time.Time) (*User, error), s Shown, now time.Time) Reason {
		u, err := identify(s, now)
		if err == nil {
			require.Equal(t, "ann", u.Name)

			return ""
		}
		var denied *DeniedError
		require.ErrorAs(t, err, &denied)

		return denied.Reason
	}
	end := noon.Add(12 * time.Hour)
	require.Empty(t, reason(a.Identify, shown, end.Add(-time.Second)))
	require.Equal(t, ExpiredLogin, reason(a.Identify, shown, end))
	require.Empty(t, reason(a.Again, shown, end.Add(time.Hour)), "a running stream continues")

	// Another key, another database, another algorithm, and no algorithm.
	other := NewAuthority(a.Policy(), AuthorityConfig{Database: "/local"})
	require.Equal(t, BadSignature, reason(other.Identify, other.ShowToken(token), noon))
	other = NewAuthority(a.Policy(), AuthorityConfig{Database: "/other", Key: a.config.Key})
	require.Equal(t, WrongDatabase, reason(other.Identify, other.ShowToken(token), noon))
	for _, method := range []jwt.SigningMethod{jwt.SigningMethodHS512, jwt.SigningMethodNone} {
		var key any = a.config.Key
		if method == jwt.SigningMethodNone {
			key = jwt.UnsafeAllowNoneSignatureType
		}
		forged, err := jwt.NewWithClaims(method, jwt.MapClaims{"sub": "ann", "exp": end.Unix(), "aud": "/local"}).
			SignedString(key)
		require.NoError(t, err)
		require.Equal(t, BadSignature, reason(a.Identify, a.ShowToken(forged), noon))
	}

	// Other lines of the user do not matter. The password and the user do.
	for text, want := range map[string]Reason{
		"user ann password=" + someHash(10) + " groups=x\nuser ann peer=uid:1": "",
		"user ann password=" + someHash(12):                                    RevokedLogin,
		"user ann peer=uid:1":                                                  RevokedLogin,
		"user bob password=" + someHash(10):                                    RevokedLogin,
		"user ann password=" + someHash(10) + " expires=2026-11-28":            RevokedLogin,
	} {
		p, err := Parse("tokens", []byte(text))
		require.NoError(t, err)
		a.Replace(p)
		require.Equal(t, want, reason(a.Again, shown, noon), text)
	}
}

// A guess must not find out which users exist: all wrong logins have the same text and cost the same.
func TestLogin_UnknownUsersCostTheSame(t *testing.T) {
	t.Parallel()
	work := 0
	a := authority(t, func(hash, password []byte) error {
		work += 1 << cost(string(hash))

		return isRight(hash, password[:min(len(password), len(right))]) // bcrypt ignores the rest of a long one, too
	})
	for _, c := range []struct{ user, password string }{
		{"ann", "wrong"},
		{"bob", "wrong"},
		{"nobody", right},
		{"cat", right},
		{"dan", right},
		{"", ""},
		{"ann", right + strings.Repeat("x", maxPassword)},
	} {
		work = 0
		_, err := try(t, a, c.user, c.password, "10.0.0.1", noon)
		var refused *LoginError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, WrongPassword, refused.Reason)
		require.Equal(t, 1<<12, work, c.user)
	}
	work = 0
	_, err := try(t, a, "ann", right, "10.0.0.1", noon)
	require.NoError(t, err)
	require.Equal(t, 1<<12, work)
	_, err = try(t, a, "ann", right, "10.0.0.2", noon)
	require.NoError(t, err)
	require.Equal(t, 1<<12, work, "the second login of a fleet needs no check")
}

func TestLogin_LocksOutAfterFiveFailures(t *testing.T) {
	t.Parallel()
	a := authority(t, isRight)
	now := noon
	var lock time.Duration
	for i := range 5 {
		_, err := try(t, a, "ann", "wrong", "10.0.0.1", now)
		require.Equal(t, "wrong_password", ReasonOf(err), i)
	}
	for _, minutes := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
		lock = time.Duration(minutes) * time.Minute
		_, err := try(t, a, "ann", right, "10.0.0.1", now.Add(lock-1))
		until := now.Add(lock).Format(time.RFC3339)
		require.EqualError(t, err, `user "ann" is locked out until `+until+` after wrong passwords`)
		require.Equal(t, "locked_out", ReasonOf(err))
		_, err = try(t, a, "bob", right, "10.0.0.1", now)
		require.NoError(t, err, "another user")
		_, err = try(t, a, "ann", right, "10.0.0.2", now)
		require.NoError(t, err, "another address")
		now = now.Add(lock)
		_, err = try(t, a, "ann", "wrong", "10.0.0.1", now)
		require.Equal(t, "wrong_password", ReasonOf(err))
	}
	_, err := try(t, a, "ann", right, "10.0.0.1", now.Add(time.Hour))
	require.NoError(t, err)
	for range 4 { // the success has cleared the failures
		_, err = try(t, a, "ann", "wrong", "10.0.0.1", now.Add(time.Hour))
		require.Error(t, err)
	}
	_, err = try(t, a, "ann", right, "10.0.0.1", now.Add(time.Hour))
	require.NoError(t, err)
}

// A guess from many addresses is slowed down. A user who has logged in from an address before does not notice.
func TestLogin_LocksOutGuessesFromManyAddresses(t *testing.T) {
	t.Parallel()
	a := authority(t, isRight)
	_, err := try(t, a, "ann", right, "10.0.0.1", noon)
	require.NoError(t, err)
	for i := range 100 {
		_, err := try(t, a, "ann", "wrong", fmt.Sprint("10.1.0.", i), noon)
		require.Equal(t, "wrong_password", ReasonOf(err))
	}
	_, err = try(t, a, "ann", right, "10.2.0.1", noon)
	require.Equal(t, "locked_out", ReasonOf(err))
	_, err = try(t, a, "ann", right, "10.0.0.1", noon)
	require.NoError(t, err)
	_, err = try(t, a, "ann", right, "10.2.0.1", noon.Add(10*time.Second))
	require.NoError(t, err)

	for i := range 50 {
		_, err = try(t, a, fmt.Sprint("user", i), "wrong", "10.3.0.1", noon)
		require.Equal(t, "wrong_password", ReasonOf(err))
	}
	_, err = try(t, a, "bob", right, "10.3.0.1", noon)
	require.Equal(t, "locked_out", ReasonOf(err))
}

func TestLogin_ChecksTwoAtATime(t *testing.T) {
	t.Parallel()
	bubbletest.Test(t, func(t *testing.T) {
		var running, most, checked atomic.Int32
		finish := make(chan struct{})
		a := authority(t, func(hash, password []byte) error {
			most.Store(max(most.Load(), running.Add(1)))
			<-finish
			running.Add(-1)
			checked.Add(1)

			return isRight(hash, password)
		})
		results := make(chan error, 100)
		start := func(ctx context.Context, user, password, address string) {
			go func() {
				_, err := a.Login(ctx, user, password, Origin{Address: address}, noon)
				results <- err
			}()
		}

		// The same user and password from many clients is one check. Each address has a few that wait.
		for range 20 {
			start(t.Context(), "bob", right, "10.0.0.1")
		}
		for i := range waitingOfOne - 1 {
			start(t.Context(), fmt.Sprint("u", i), "x", "10.0.0.1")
		}
		synctest.Wait()
		_, err := try(t, a, "bob", "x", "10.0.0.1", noon)
		require.ErrorIs(t, err, ErrBusy)
		require.Equal(t, "busy", ReasonOf(err))

		// A login that is given up while it waits is not checked. One that shares the check continues.
		ctx, cancel := context.WithCancel(t.Context())
		start(ctx, "bob", "y", "10.0.0.2")
		synctest.Wait()
		start(t.Context(), "bob", "y", "10.0.0.3")
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-results, context.Canceled)
		synctest.Wait()
		close(finish)
		good, bad := 0, 0
		for range 20 + waitingOfOne - 1 + 1 {
			switch err := <-results; {
			case err == nil:
				good++
			case errors.As(err, new(*LoginError)):
				bad++
			}
		}
		require.Equal(t, 20, good)
		require.Equal(t, waitingOfOne, bad)
		require.EqualValues(t, 2, most.Load())
		require.EqualValues(t, 1+waitingOfOne-1+1, checked.Load())
		require.Zero(t, a.logins.total)
		require.Empty(t, a.logins.waiting)
		require.Empty(t, a.logins.running)
	})
}

func TestFailures_AreBounded(t *testing.T) {
	t.Parallel()
	f := failures{}
	for i := range 2 * maxFailures {
		f.fail(fmt.Sprint(i), Origin{Address: "10.0.0.1"}, noon)
		require.LessOrEqual(t, len(f), maxFailures+2)
	}
	_, locked := f.locked("x", Origin{Address: "10.0.0.1"}, noon.Add(time.Second))
	require.True(t, locked)
}

// Failures at one service lock out nobody at another one, by no rule.
func TestFailures_OfOneService(t *testing.T) {
	t.Parallel()
	f := failures{}
	page, grpc := Origin{Service: "http", Address: "10.0.0.1"}, Origin{Address: "10.0.0.1"}
	for i := range 200 {
		f.fail("ann", page, noon)
		f.fail("ann", Origin{Service: "http", Address: fmt.Sprint(i)}, noon)
		f.fail(fmt.Sprint(i), page, noon)
	}
	for _, user := range []string{"ann", "bob"} {
		_, locked := f.locked(user, page, noon)
		require.True(t, locked)
		_, locked = f.locked(user, grpc, noon)
		require.False(t, locked)
	}
	_, locked := f.locked("ann", Origin{Service: "http", Address: "another"}, noon)
	require.True(t, locked)
	_, locked = f.locked("ann", Origin{Address: "another"}, noon)
	require.False(t, locked)
}
