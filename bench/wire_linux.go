package bench

import (
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// prepareWire makes a TUN device that sends each packet back after wireDelay
// with its two addresses exchanged, which leaves all checksums right: what a
// client sends to the far side arrives at the server as if from there, and the
// answer the same way. Both ends are this kernel's own TCP.
func prepareWire() error {
	if err := loopbackUp(); err != nil {
		return err
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("/dev/net/tun: %w", os.NewSyscallError("open", err))
	}
	if err := configureWire(fd); err != nil {
		unix.Close(fd)
		return err
	}
	// Only now: epoll(7) has no use for one that is not set up.
	device := os.NewFile(uintptr(fd), "/dev/net/tun")
	// These live as long as the process, as its namespace does.
	onTheWay := make(chan packet, 1<<14)
	go deliver(device, onTheWay)
	go reflect(device, onTheWay)
	return nil
}

func configureWire(tun int) error {
	ifr, err := unix.NewIfreq("wire0")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(tun, unix.TUNSETIFF, ifr); err != nil {
		return fmt.Errorf("make a TUN device: %w", os.NewSyscallError("ioctl", err))
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	for _, set := range []struct {
		request uint
		prepare func() error
	}{
		{unix.SIOCSIFADDR, func() error { return ifr.SetInet4Addr(netip.MustParseAddr(wireServer).AsSlice()) }},
		{unix.SIOCSIFNETMASK, func() error { return ifr.SetInet4Addr([]byte{255, 255, 255, 0}) }},
		{unix.SIOCSIFFLAGS, func() error { ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil }},
	} {
		if err := set.prepare(); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, set.request, ifr); err != nil {
			return fmt.Errorf("set up the TUN device: %w", os.NewSyscallError("ioctl", err))
		}
	}
	return nil
}

type packet struct {
	due   time.Time
	bytes []byte
}

func deliver(device *os.File, onTheWay <-chan packet) {
	for p := range onTheWay {
		time.Sleep(time.Until(p.due))
		_, _ = device.Write(p.bytes)
	}
}

func reflect(device *os.File, onTheWay chan<- packet) {
	b := make([]byte, 1<<16)
	for {
		n, err := device.Read(b)
		if err != nil {
			close(onTheWay)
			return
		}
		const source, destination, end = 12, 16, 20 // RFC 791, section 3.1
		if n < end || b[0]>>4 != 4 {
			continue // IPv6 speaks up by itself
		}
		for i := range 4 {
			b[source+i], b[destination+i] = b[destination+i], b[source+i]
		}
		onTheWay <- packet{time.Now().Add(wireDelay), append([]byte(nil), b[:n]...)}
	}
}
