//go:build race

package drain_test

// raceEnabled tells that all takes longer, and that there may be no more than
// 8128 goroutines.
const raceEnabled = true
