package thirdparty

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/graceport/graceport/drain"
)

// Events returns a handler that sends a feed as server-sent events, from after
// the one in Last-Event-ID. When draining begins, the stream ends as a response
// does that is complete: the client connects again and goes on where it was.
func Events(feed *Feed) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := drain.Turn(r.Context())
		defer cancel()
		w.Header().Set("Content-Type", "text/event-stream")
		// Clients wait three seconds otherwise.
		fmt.Fprint(w, "retry: 1\n\n")
		last, _ := strconv.Atoi(r.Header.Get("Last-Event-ID"))
		for {
			events, more := feed.After(last)
			for _, e := range events {
				last++
				fmt.Fprintf(w, "id: %d\ndata: %s\n\n", last, e)
			}
			if http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-more:
			case <-ctx.Done():
				return
			}
		}
	})
}

// Poll returns a handler that answers with the events of a feed after the one in
// the query, as soon as there are any. When draining begins there is no content,
// and the client asks again.
func Poll(feed *Feed) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Not Turn: who polls has its answer before others are told to go.
		ctx, cancel := drain.Context(r.Context())
		defer cancel()
		after, _ := strconv.Atoi(r.FormValue("after"))
		events, more := feed.After(after)
		if len(events) == 0 {
			select {
			case <-more:
				events, _ = feed.After(after)
			case <-ctx.Done():
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		for i, e := range events {
			fmt.Fprintf(w, "%d %s\n", after+1+i, e)
		}
	})
}
