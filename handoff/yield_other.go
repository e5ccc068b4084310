//go:build !linux

package handoff

func mayRouse() (nice int, may bool) { return 0, false }

func threadsOf(int) []int { return nil }

func idle(int) {}

func rouse(int, int) error { return errOS }
