package bench

import (
	"testing"
)

// Programs that are installed restart as their manuals say, and what the bench
// sees of them is complete: the generations answer in order, and end.
func TestPrograms(t *testing.T) {
	for _, m := range methods() {
		if !m.program {
			continue
		}
		for _, scenario := range []string{"short", "tls", "unix"} {
			t.Run(m.name+" "+scenario, func(t *testing.T) {
				if err := m.needs(t.Context()); err != nil {
					t.Skip(err)
				}
				o := testOptions(t, m.name, scenario)
				o.Restarts = 2
				res := measured(t, o)
				if res.Restarts != 2 || res.Requests == 0 || len(res.Errors) > 0 {
					t.Errorf("%d restarts, %d requests, errors: %q", res.Restarts, res.Requests, res.Errors)
				}
				if res.CPUPerRequest == 0 {
					t.Error("took no processor time")
				}
			})
		}
	}
}
