package bench

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
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
		fmt.Fprintf(w, "generation %s pid %d\n", number, pid)
	})
}
