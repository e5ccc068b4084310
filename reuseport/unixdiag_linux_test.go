package reuseport

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// unixMessage is the body of a listening socket bound to /run/s.7.
func unixMessage() []byte {
	b := make([]byte, unixMessageLen)
	b[0], b[1], b[2] = unix.AF_UNIX, unix.SOCK_STREAM, unixListen
	binary.NativeEndian.PutUint32(b[4:], 4711)
	attr := func(kind uint16, value []byte) {
		b = binary.NativeEndian.AppendUint16(b, uint16(attrLen+len(value)))
		b = binary.NativeEndian.AppendUint16(b, kind)
		b = append(b, value...)
		b = append(b, make([]byte, align(len(b))-len(b))...)
	}
	pair := func(x, y uint32) []byte {
		return binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, x), y)
	}
	attr(attrName, []byte("/run/s.7"))
	attr(attrVFS, pair(99, 8<<20|1))
	attr(attrRQ, pair(5, 4096))
	attr(200, []byte{42}) // one that we do not know
	attr(attrUID, status32(1000))
	return b
}

func TestParseUnixDiag(t *testing.T) {
	body := unixMessage()
	single := message(unix.SOCK_DIAG_BY_FAMILY, 0, 0, body)
	multi := message(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_MULTI, 0, body)
	want := []unixDiag{{
		UnixSocket: UnixSocket{Name: "/run/s.7", UID: 1000, Inode: 4711, Queue: Queue{Len: 5, Limit: 4096}},
		fileInode:  99, fileDev: 8<<20 | 1,
	}}
	cut := slices.Clone(body)
	cut[unixMessageLen] = 250 // the first attribute claims more than there is
	tests := []struct {
		name string
		in   []byte
		want []unixDiag
		done bool
		err  error
	}{
		{"empty", nil, nil, false, nil},
		{"one socket", single, want, true, nil},
		{"one of several", multi, want, false, nil},
		{"the last of several", slices.Concat(multi, message(unix.NLMSG_DONE, 0, 0, status32(0))), want, true, nil},
		{"no such socket", message(unix.NLMSG_ERROR, 0, 0, status32(-int32(unix.ENOENT))), nil, true, unix.ENOENT},
		{"interrupted", message(unix.NLMSG_DONE, unix.NLM_F_DUMP_INTR, 0, status32(0)), nil, false, errInterrupted},
		{"half a message", single[:20], nil, false, errMalformed},
		{"a size of zero", make([]byte, headerLen), nil, false, errMalformed},
		{"a body that is too short", message(unix.SOCK_DIAG_BY_FAMILY, 0, 0, body[:10]), nil, false, errMalformed},
		{"another family", message(unix.SOCK_DIAG_BY_FAMILY, 0, 0, make([]byte, unixMessageLen)), nil, false, errMalformed},
		{"an attribute that is too long", message(unix.SOCK_DIAG_BY_FAMILY, 0, 0, cut), nil, false, errMalformed},
	}
	for _, tt := range tests {
		var got []unixDiag
		done, err := parseUnixDiag(tt.in, func(d unixDiag) { got = append(got, d) })
		if !slices.Equal(got, tt.want) || done != tt.done || !errors.Is(err, tt.err) {
			t.Errorf("%s: %+v, %t, %v, want %+v, %t, %v", tt.name, got, done, err, tt.want, tt.done, tt.err)
		}
	}
}

// Where stat(2) shows another device than the kernel's, as on overlayfs, the
// bound name decides.
func TestBehindOfOtherDevice(t *testing.T) {
	path := unixTemp(t)
	l := openUnix(t, "unix", path, "a")
	take(t, l)
	leaveStale(t, path+".b")
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	inode := uint32(fi.Sys().(*syscall.Stat_t).Ino)
	const noDev = 1<<32 - 1
	for _, tt := range []struct {
		name  string
		inode uint32
		want  bool
	}{
		{path + ".a", inode, true},
		{path + ".b", inode, false},
		{path + ".a", inode + 1, false},
		{"s.a", inode, false}, // relative to a directory that we do not know
		{"", inode, false},
	} {
		d := unixDiag{UnixSocket: UnixSocket{Name: tt.name}, fileInode: tt.inode, fileDev: noDev}
		if got := d.behind(fi); got != tt.want {
			t.Errorf("%q, inode %d: %t, want %t", tt.name, tt.inode, got, tt.want)
		}
	}
}

func FuzzParseUnixDiag(f *testing.F) {
	single := message(unix.SOCK_DIAG_BY_FAMILY, 0, 0, unixMessage())
	f.Add(single)
	f.Add(slices.Concat(single, message(unix.NLMSG_DONE, 0, 0, status32(0))))
	f.Add(message(unix.NLMSG_ERROR, 0, 0, status32(-1)))
	f.Add(single[:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		done, err := parseUnixDiag(b, func(unixDiag) { n++ })
		if most := len(b) / (headerLen + unixMessageLen); n > most {
			t.Errorf("%d sockets in %d bytes, at most %d fit", n, len(b), most)
		}
		if done && errors.Is(err, errMalformed) {
			t.Error("complete and malformed")
		}
	})
}
