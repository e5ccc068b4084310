// Package integration holds tests of the finished commands: real processes,
// real kernels, real peers. It exports nothing.
package integration
