package bench

import (
	"math"
	"testing"
)

// The bounds for single counts as tables of the exact interval print them.
func TestPoissonInterval(t *testing.T) {
	for _, c := range []struct {
		n, trials       int
		mean, low, high float64
	}{
		{0, 1, 0, 0, 3.689},
		{1, 1, 1, 0.025, 5.572},
		{5, 1, 5, 1.623, 11.668},
		{10, 1, 10, 4.795, 18.390},
		{100, 1, 100, 81.364, 121.627},
		{0, 20, 0, 0, 0.184},
		{0, 0, 0, 0, 0},
	} {
		got := poissonInterval(c.n, c.trials)
		for _, x := range [][2]float64{{got.Mean, c.mean}, {got.Low, c.low}, {got.High, c.high}} {
			if math.Abs(x[0]-x[1]) > 0.0011 {
				t.Errorf("%d in %d: %+v, want %v (%v to %v)", c.n, c.trials, got, c.mean, c.low, c.high)
			}
		}
	}
	if got := poissonInterval(20_000, 10); got.Low > 2000 || got.High < 2000 || got.High-got.Low > 60 {
		t.Errorf("20000 in 10: %+v", got)
	}
}
