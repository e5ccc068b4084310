package main

import (
	"fmt"
	"os"

	"github.com/graceport/graceport/bench"
)

func benchCompareCommand() *command {
	return &command{
		name:  "bench compare",
		usage: "OLD.json NEW.json",
		help: `Tell what changed between two results of "graceport bench -json" or "-o" beyond
noise. The exit status is 1 if anything is worse, for use in CI. Both need
-repetitions 3 or more for times to be compared, and nine restarts or more in all
for losses; what is not compared is told.

Example:
  graceport bench -repetitions 5 -json new.json && graceport bench compare old.json new.json`,
	}
}

func compareBench(args []string) int {
	c := benchCompareCommand()
	fs := c.flags()
	if status, done := c.parse(fs, args, 2, 2); done {
		return status
	}
	var reports [2]*bench.Report
	for i := range reports {
		r, err := readReport(fs.Arg(i))
		if err != nil {
			return c.failed(err)
		}
		reports[i] = r
	}
	comparison := bench.Compare(reports[0], reports[1])
	if err := comparison.Write(os.Stdout); err != nil {
		return c.failed(err)
	}
	if comparison.Worse() > 0 {
		return exitFailed
	}
	return exitOK
}

func readReport(name string) (*bench.Report, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	r, err := bench.ReadReport(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}
