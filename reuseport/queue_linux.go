package reuseport

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// queueOf reads the accept queue. For a listening socket tcp_get_info in
// net/ipv4/tcp.c puts its length and its limit into these two fields.
func queueOf(fd int) (Queue, error) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return Queue{}, os.NewSyscallError("getsockopt TCP_INFO", err)
	}
	return Queue{Len: int(info.Unacked), Limit: int(info.Sacked)}, nil
}

func inodeOf(fd int) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, os.NewSyscallError("fstat", err)
	}
	return st.Ino, nil
}

// settleTime is far longer than the kernel works on one packet.
const settleTime = 10 * time.Millisecond

// membarrierGlobal is MEMBARRIER_CMD_GLOBAL of membarrier(2).
const membarrierGlobal = 1

// settle waits until every packet that was being received when it was called
// has been dealt with.
//
// Receiving runs in an RCU read-side critical section, and
// MEMBARRIER_CMD_GLOBAL waits for all of those to end (synchronize_rcu in
// kernel/sched/membarrier.c). Where a sandbox or nohz_full forbids the call,
// time does it.
func settle(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0); errno == 0 {
		return nil
	}
	p := pause{settleTime}
	return p.wait(ctx)
}
