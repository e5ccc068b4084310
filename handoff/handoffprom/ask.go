package handoffprom

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/graceport/graceport/handoff"
	"github.com/prometheus/common/expfmt"
)

// answer is what one generation said, or the error why it did not.
type answer struct {
	generation int
	families   families
	err        error
}

// errNoMetrics is matched when a generation lives and shows no metrics.
var errNoMetrics = errors.New("it serves no metrics: its handoff.Config.Metrics is nil")

// ask asks every generation that has a socket, all at the same time.
func ask(ctx context.Context, service *handoff.Service) ([]answer, error) {
	generations, err := service.Generations()
	if err != nil {
		return nil, err
	}
	answers := make([]answer, len(generations))
	var asking sync.WaitGroup
	for i, n := range generations {
		asking.Go(func() {
			all, err := askOne(ctx, service.Transport(n))
			answers[i] = answer{n, all, err}
		})
	}
	asking.Wait()
	return answers, nil
}

func askOne(ctx context.Context, to http.RoundTripper) (families, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://graceport/metrics", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", string(delimited))
	resp, err := to.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, errNoMetrics
	default:
		return nil, fmt.Errorf("it answered %s", resp.Status)
	}
	b, err := readAll(resp.Body, maxBytes)
	if err != nil {
		return nil, fmt.Errorf("its answer: %w", err)
	}
	format := expfmt.ResponseFormat(resp.Header)
	if format.FormatType() == expfmt.TypeProtoDelim {
		format = delimited
	}
	all, err := decode(b, format)
	if err != nil {
		return nil, fmt.Errorf("its answer: %w", err)
	}
	return all, nil
}
