package reuseport

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

const testSeq = 7

// message frames a netlink message and pads it.
func message(kind, flags uint16, seq uint32, body []byte) []byte {
	var b []byte
	b = binary.NativeEndian.AppendUint32(b, uint32(headerLen+len(body)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = append(b, 0, 0, 0, 0)
	b = append(b, body...)
	return append(b, make([]byte, align(len(b))-len(b))...)
}

// listenMessage is the body of a socket on [2001:db8::1]:443, only for IPv6.
func listenMessage() []byte {
	b := make([]byte, messageLen)
	b[0], b[1] = unix.AF_INET6, unix.BPF_TCP_LISTEN
	binary.BigEndian.PutUint16(b[4:], 443)
	copy(b[8:], netip.MustParseAddr("2001:db8::1").AsSlice())
	binary.NativeEndian.PutUint32(b[40:], 3)
	binary.NativeEndian.PutUint32(b[44:], 0x1111)
	binary.NativeEndian.PutUint32(b[48:], 0x2222)
	binary.NativeEndian.PutUint32(b[56:], 5)
	binary.NativeEndian.PutUint32(b[60:], 128)
	binary.NativeEndian.PutUint32(b[64:], 1000)
	binary.NativeEndian.PutUint32(b[68:], 4711)
	b = append(b, 5, 0, 99, 0, 42, 0, 0, 0) // an attribute that we do not know
	return append(b, 5, 0, attrV6Only, 0, 1, 0, 0, 0)
}

func status32(code int32) []byte {
	return binary.NativeEndian.AppendUint32(nil, uint32(code))
}

func TestParseDiag(t *testing.T) {
	one := message(unix.SOCK_DIAG_BY_FAMILY, 0, testSeq, listenMessage())
	wantOne := []diagMsg{{
		local:  netip.MustParseAddrPort("[2001:db8::1]:443"),
		remote: netip.MustParseAddrPort("[::]:0"),
		iface:  3, cookie: 0x2222_0000_1111, rqueue: 5, wqueue: 128, uid: 1000, inode: 4711, v6only: true,
	}}
	cut := listenMessage()
	cut[messageLen] = 200 // the first attribute claims more than there is
	tests := []struct {
		name string
		in   []byte
		want []diagMsg
		done bool
		err  error
	}{
		{"empty", nil, nil, false, nil},
		{"a socket", one, wantOne, false, nil},
		{"a socket and the end", slices.Concat(one, message(unix.NLMSG_DONE, 0, testSeq, status32(0))), wantOne, true, nil},
		{"the end without a status", message(unix.NLMSG_DONE, 0, testSeq, nil), nil, true, nil},
		{"the end with an error", message(unix.NLMSG_DONE, 0, testSeq, status32(-int32(unix.EPERM))), nil, true, unix.EPERM},
		{"an error", message(unix.NLMSG_ERROR, 0, testSeq, status32(-int32(unix.ENOENT))), nil, false, unix.ENOENT},
		{"an acknowledgement", message(unix.NLMSG_ERROR, 0, testSeq, status32(0)), nil, false, nil},
		{"of another request", message(unix.SOCK_DIAG_BY_FAMILY, 0, testSeq+1, listenMessage()), nil, false, nil},
		{"interrupted", message(unix.NLMSG_DONE, unix.NLM_F_DUMP_INTR, testSeq, status32(0)), nil, false, errInterrupted},
		{"half a header", one[:10], nil, false, errMalformed},
		{"half a message", one[:50], nil, false, errMalformed},
		{"a message that is too short", message(unix.SOCK_DIAG_BY_FAMILY, 0, testSeq, listenMessage()[:30]), nil, false, errMalformed},
		{"a size of zero", make([]byte, headerLen), nil, false, errMalformed},
		{"an unknown family", message(unix.SOCK_DIAG_BY_FAMILY, 0, testSeq, make([]byte, messageLen)), nil, false, errMalformed},
		{"an attribute that is too long", message(unix.SOCK_DIAG_BY_FAMILY, 0, testSeq, cut), nil, false, errMalformed},
	}
	for _, tt := range tests {
		var got []diagMsg
		done, err := parseDiag(tt.in, testSeq, func(m diagMsg) { got = append(got, m) })
		if !slices.Equal(got, tt.want) || done != tt.done || !errors.Is(err, tt.err) {
			t.Errorf("%s: %+v, %t, %v, want %+v, %t, %v", tt.name, got, done, err, tt.want, tt.done, tt.err)
		}
	}
}

func TestDiagRequest(t *testing.T) {
	b := diagRequest(unix.AF_INET, unix.IPPROTO_TCP, 443, 1<<unix.BPF_TCP_LISTEN, testSeq)
	if len(b) != headerLen+requestLen || int(binary.NativeEndian.Uint32(b)) != len(b) {
		t.Errorf("length is %d", len(b))
	}
	if b[headerLen] != unix.AF_INET || b[headerLen+1] != unix.IPPROTO_TCP {
		t.Errorf("family and protocol are %v", b[headerLen:headerLen+2])
	}
	if port := binary.BigEndian.Uint16(b[headerLen+8:]); port != 443 {
		t.Errorf("port is %d", port)
	}
}

func FuzzParseDiag(f *testing.F) {
	one := message(unix.SOCK_DIAG_BY_FAMILY, 0, testSeq, listenMessage())
	f.Add(one)
	f.Add(slices.Concat(one, message(unix.NLMSG_DONE, 0, testSeq, status32(0))))
	f.Add(message(unix.NLMSG_ERROR, 0, testSeq, status32(-1)))
	f.Add(one[:50])
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		done, err := parseDiag(b, testSeq, func(m diagMsg) {
			n++
			if !m.local.IsValid() || !m.remote.IsValid() {
				t.Errorf("invalid address: %+v", m)
			}
		})
		if most := len(b) / (headerLen + messageLen); n > most {
			t.Errorf("%d sockets in %d bytes, at most %d fit", n, len(b), most)
		}
		if done && err != nil && errors.Is(err, errMalformed) {
			t.Errorf("complete and malformed")
		}
	})
}
