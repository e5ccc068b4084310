package bench

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// WriteDir writes report.html, result.json and latency.hgrm to a directory,
// which is made if it is not there.
func (r *Report) WriteDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("bench: report: %w", err)
	}
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{"report.html", r.WriteHTML},
		{"result.json", r.WriteJSON},
		{"latency.hgrm", r.WriteHistograms},
	} {
		if err := writeTo(filepath.Join(dir, f.name), f.write); err != nil {
			return fmt.Errorf("bench: report: %w", err)
		}
	}
	return nil
}

func writeTo(name string, write func(io.Writer) error) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return write(file)
}

// WriteHistograms writes every percentile, in milliseconds, as HdrHistogram's
// plotter reads it: one part for steady time and one for restart windows of
// each result, which a comment names.
func (r *Report) WriteHistograms(w io.Writer) error {
	for _, res := range r.Results {
		for _, part := range []struct {
			name string
			of   *Histogram
		}{{"steady", res.SteadyHistogram}, {"restart windows", res.RestartHistogram}} {
			if part.of == nil || part.of.TotalCount() == 0 {
				continue
			}
			if _, err := fmt.Fprintf(w, "# %s %s, %s\n", res.Method, res.Scenario, part.name); err != nil {
				return err
			}
			if _, err := part.of.PercentilesPrint(w, 5, 1000); err != nil {
				return err
			}
		}
	}
	return nil
}
