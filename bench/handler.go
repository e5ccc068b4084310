package bench

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

// maxBody bounds what a request may send; the load sends a hundred bytes.
const maxBody = 1 << 20

// handler answers every request with the generation and pid that served it,
// after reading the whole body.
func handler(generation int) http.Handler {
	number := strconv.Itoa(generation)
	pid := os.Getpid()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set(generationHeader, number)
		if r.URL.Path == streamPath {
			stream(w, r)
			return
		}
		if r.URL.Path == upgradePath {
			upgrade(w)
			return
		}
		fmt.Fprintf(w, "generation %s pid %d\n", number, pid)
	})
}

// streamPath answers in streamLines lines, one every streamInterval.
const (
	streamPath     = "/stream"
	streamLines    = 25
	streamInterval = 20 * time.Millisecond
)

func stream(w http.ResponseWriter, r *http.Request) {
	for i := range streamLines {
		if _, err := fmt.Fprintf(w, "line %d\n", i); err != nil {
			return
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		if !wait(r.Context(), streamInterval, nil) {
			return
		}
	}
}
