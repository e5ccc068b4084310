package bench_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/graceport/graceport/bench"
)

func ExampleRun() {
	exe, err := os.Executable()
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := bench.Run(context.Background(), &bench.Options{
		Methods:   []string{"fd-inherit"},
		Scenarios: []string{"short"},
		Restarts:  2,
		Pause:     20 * time.Millisecond,
		Command:   []string{exe}, // whose main calls bench.Serve
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range report.Results {
		fmt.Println(r.Method, r.Scenario, "restarts:", r.Restarts, "errors:", len(r.Errors))
	}
	// Output: fd-inherit short restarts: 2 errors: 0
}
