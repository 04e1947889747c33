package metrics

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// scrapeLimit is the time limit for reading the request of a scraper.
const scrapeLimit = 10 * time.Second

// A Server serves metrics. Its methods also work on a nil Server.
type Server struct{ http *http.Server }

// Serve listens on the address host:port and serves the text at /metrics. It calls render for each request, possibly
// concurrently. The caller must call Close.
func Serve(address string, render func() []byte) (*Server, error) {
	lis, err := net.Listen("tcp", address)
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok {
			err = op.Err
		}

		return nil, fmt.Errorf("cannot listen on this address: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(render()) // the scraper may have gone
	})
	s := &Server{&http.Server{Handler: mux, ReadHeaderTimeout: scrapeLimit}}
	go func() { _ = s.http.Serve(lis) }() // ends with Close

	return s, nil
}

// Close ends the server. It does not wait for requests that are being answered.
func (s *Server) Close() {
	if s != nil {
		_ = s.http.Close()
	}
}
