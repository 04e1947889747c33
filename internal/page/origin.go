package page

import (
	"net/http"
	"net/url"
)

// foreign returns why a request is refused because of the page that made a browser send it, or nothing. A program that
// is not a browser sends none of these headers.
func foreign(r *http.Request) string {
	const text = "this request comes from another web page"
	origin := r.Header.Get("Origin")
	site := r.Header.Get("Sec-Fetch-Site")
	switch site {
	case "same-origin", "none":
		return ""
	case "":
		if origin == "" && r.Method != http.MethodGet && r.Method != http.MethodHead {
			return "this form is for browsers: programs use /api/v1"
		}
	default: // only a link may lead here
		if r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Method != http.MethodGet {
			return text
		}
	}
	if origin == "" {
		return ""
	}
	if u, err := url.Parse(origin); err != nil || u.Host != r.Host {
		return text
	}

	return ""
}

// local returns the path of this server to go to, or the start if it leads elsewhere.
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return "/"
	}
	switch u.Path {
	case semaphoreView, sessionView, "/session/end":
		return (&url.URL{Path: u.Path, RawQuery: u.Query().Encode()}).String()
	}

	return (&url.URL{Path: "/", RawQuery: u.Query().Encode()}).String()
}
