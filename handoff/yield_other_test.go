//go:build !linux

package handoff_test

func yields() bool { return false }
