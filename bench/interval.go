package bench

import "math"

// An Interval is a mean with the bounds that hold the true one in 95 of 100
// runs, if losses come one by one.
type Interval struct {
	Mean float64 `json:"mean"` // as measured
	Low  float64 `json:"low"`  // the lower bound
	High float64 `json:"high"` // the upper bound
}

// poissonInterval is the exact interval (Garwood 1936) for a rate of which n
// events were seen in so many trials.
func poissonInterval(n, trials int) Interval {
	if trials == 0 {
		return Interval{}
	}
	per := func(x float64) float64 { return math.Round(1000*x/float64(trials)) / 1000 }
	i := Interval{Mean: per(float64(n))}
	if n > 0 {
		// P(X >= n) = 2.5 %
		i.Low = per(solve(n, func(mean float64) bool { return 1-poissonCDF(n-1, mean) >= 0.025 }))
	}
	// P(X <= n) = 2.5 %
	i.High = per(solve(n, func(mean float64) bool { return poissonCDF(n, mean) <= 0.025 }))
	return i
}

// solve finds the least mean for which reached holds, which then holds for
// every greater one.
func solve(n int, reached func(mean float64) bool) float64 {
	low, high := 0.0, float64(n)+10*math.Sqrt(float64(n))+10
	for range 60 {
		if mid := (low + high) / 2; reached(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}

// poissonCDF is P(X <= n).
func poissonCDF(n int, mean float64) float64 {
	if mean == 0 {
		return 1
	}
	sum := 0.0
	for k := range n + 1 {
		logFactorial, _ := math.Lgamma(float64(k) + 1)
		sum += math.Exp(float64(k)*math.Log(mean) - mean - logFactorial)
	}
	return min(sum, 1)
}
