// Package integration holds tests of the finished commands: real processes,
// real kernels, real peers. It exports nothing.
//
// TestSystemd* boot the machine's systemd in namespaces of their own and run the
// README's units in it. They need root, a cgroup2 mount that can be written to,
// systemctl, unshare and nsenter, and skip with the reason where one is missing.
// TestNotify* need none of that: a stand-in follows systemd's rules.
package integration
