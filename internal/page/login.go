package page

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"tenure/internal/access"
	"tenure/internal/clock"
)

const (
	loginLifetime = 12 * time.Hour
	maxLogins     = 1000
	maxLoginsOf   = 20 // one user
)

// mayNotSee is the text for users without the rights that the page needs.
const mayNotSee = "You may not see this server: your user needs the rights “list” and “read” on the database."

// caller is who makes a request.
type caller struct {
	name   string // empty if the server knows no users
	rights access.Rights
	full   bool
}

// need calls next for callers with the rights. It asks others to log in.
func (p *Page) need(
	rights access.Rights, next func(http.ResponseWriter, *http.Request, caller),
) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := p.caller(r)
		switch {
		case errors.As(err, new(*access.DeniedError)):
			p.askForLogin(w, r)
		case err != nil:
			p.message(w, caller{}, http.StatusServiceUnavailable, "Not available", err.Error())
		case !who.rights.Has(rights):
			p.c.Lacks(r, who.name, rights)
			text := mayNotSee
			if rights != access.View {
				text = "You may not end sessions: your user needs the right “full” on the database."
			}
			p.message(w, who, http.StatusForbidden, "Not allowed", text)
		default:
			next(w, r, who)
		}
	})
}

// caller returns who makes a request. If it is nobody, the error is a *access.DeniedError. The rights are those of the
// tokens file now.
func (p *Page) caller(r *http.Request) (caller, error) {
	token := ""
	if cookie, err := r.Cookie(p.cookieName(r)); err == nil {
		token = p.logins.token(cookie.Value)
	}
	name, rights, err := p.c.Caller(r, token)

	return caller{name, rights, rights.Has(access.Full)}, err
}

// askForLogin sends a browser to the log-in. The cookie is not sent with a request to which a link on another page
// leads. So the browser is made to repeat it from a page of ours.
func (p *Page) askForLogin(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodGet || r.Header.Get("Accept") == "text/event-stream":
		http.Error(w, "log in first", http.StatusUnauthorized)
	case r.Header.Get("Sec-Fetch-Site") == "cross-site":
		p.execute(w, http.StatusOK, "again", local(r.URL.RequestURI()))
	default:
		next := url.Values{"next": {local(r.URL.RequestURI())}}
		http.Redirect(w, r, "/login?"+next.Encode(), http.StatusSeeOther)
	}
}

// cookieName is different for each port, because browsers send cookies to all ports of a host.
func (p *Page) cookieName(r *http.Request) string {
	if p.c.Secure {
		return "__Host-tenure"
	}
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		port = "80"
	}

	return "tenure-" + port
}

func (p *Page) cookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: p.cookieName(r), Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: p.c.Secure,
		SameSite: http.SameSiteStrictMode,
	}
}

// loginModel is the model of the log-in form.
type loginModel struct{ Next, User, Error string }

func (p *Page) loginForm(w http.ResponseWriter, r *http.Request) {
	next := local(r.URL.Query().Get("next"))
	if _, _, err := p.c.Caller(r, ""); err == nil { // there are no users
		http.Redirect(w, r, next, http.StatusSeeOther)

		return
	}
	p.write(w, http.StatusOK, frame{Title: "Log in · tenure", Main: p.html("login", loginModel{Next: next})})
}

// login exchanges a token, or a user and a password, for a cookie.
func (p *Page) login(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "this is not the form of /login", http.StatusBadRequest)

		return
	}
	form := loginModel{Next: local(r.PostForm.Get("next")), User: r.PostForm.Get("user")}
	status := http.StatusForbidden
	token, err := p.c.Login(r, form.User, r.PostForm.Get("secret"))
	switch {
	case err == nil:
		name, rights, err := p.c.Caller(r, token)
		if err != nil || !rights.Has(access.View) {
			form.Error = mayNotSee
			p.c.Lacks(r, name, access.View)

			break
		}
		p.forget(r)
		id := p.logins.add(name, token)
		http.SetCookie(w, p.cookie(r, id, int(loginLifetime/time.Second)))
		http.Redirect(w, r, form.Next, http.StatusSeeOther)

		return
	case errors.Is(err, access.ErrBusy):
		form.Error, status = "Too many people log in at the same time. Try again.", http.StatusServiceUnavailable
	case errors.Is(err, context.Canceled):
		return
	case form.User == "":
		form.Error = "The token is not known, or it has expired."
	default:
		form.Error = "The user or the password is wrong."
	}
	p.write(w, status, frame{Title: "Log in · tenure", Main: p.html("login", form)})
}

// logout forgets the log-in and its cookie.
func (p *Page) logout(w http.ResponseWriter, r *http.Request) {
	p.forget(r)
	http.SetCookie(w, p.cookie(r, "", -1))
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// forget ends the log-in of a browser.
func (p *Page) forget(r *http.Request) {
	if cookie, err := r.Cookie(p.cookieName(r)); err == nil {
		p.logins.remove(cookie.Value)
	}
}

// logins are the log-ins of browsers. They are in memory only. A browser knows a random number, and not the token.
type logins struct {
	clock clock.Clock

	mu  sync.Mutex // guards all
	all map[[sha256.Size]byte]login
}

type login struct {
	user  string
	token string
	until clock.Instant
}

func newLogins(clk clock.Clock) *logins {
	return &logins{clock: clk, all: make(map[[sha256.Size]byte]login)}
}

// add returns a new id for the token of a user. If the user has too many log-ins, the oldest of them ends, so that
// nobody ends those of others.
func (l *logins) add(user, token string) (id string) {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	id = base64.RawURLEncoding.EncodeToString(random)
	now := l.clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.evict(maxLoginsOf, func(o login) bool { return o.user == user })
	l.evict(maxLogins, func(login) bool { return true })
	l.all[sha256.Sum256([]byte(id))] = login{user, token, now.Add(loginLifetime)}

	return id
}

// evict ends the oldest of some log-ins if there are so many of them. It is called with mu held.
func (l *logins) evict(limit int, among func(login) bool) {
	var oldest [sha256.Size]byte
	number, until := 0, clock.Instant(0)
	for sum, login := range l.all {
		if !among(login) {
			continue
		}
		if number++; number == 1 || login.until < until {
			oldest, until = sum, login.until
		}
	}
	if number >= limit {
		delete(l.all, oldest)
	}
}

// token returns the token of an id, or nothing.
func (l *logins) token(id string) string {
	sum := sha256.Sum256([]byte(id))
	l.mu.Lock()
	defer l.mu.Unlock()
	login, ok := l.all[sum]
	if ok && l.clock.Now() >= login.until {
		delete(l.all, sum)

		return ""
	}

	return login.token
}

func (l *logins) remove(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, sha256.Sum256([]byte(id)))
}
