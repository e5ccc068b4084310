//go:build !linux

package handoff

func awaitChild(int) {}
