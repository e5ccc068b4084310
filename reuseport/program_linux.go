package reuseport

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Both kinds of program return an index of the group's array, and are built
// alike: a random draw between the two ranges if there are two, then one index
// within the range.

// Offsets of ancillary data that a classic program may load (linux/filter.h).
const (
	adOff    = 0xfffff000 // SKF_AD_OFF
	adCPU    = adOff + 36 // SKF_AD_CPU
	adRandom = adOff + 56 // SKF_AD_RANDOM
)

// classic builds the program of the strategy CBPF.
func classic(sel Selection) []unix.SockFilter {
	only, divided := sel.divided()
	if !divided {
		return classicRange(only, sel.Balance)
	}
	to := classicRange(sel.To, sel.Balance)
	prog := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: adRandom},
		{Code: unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K, K: wholeShare},
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: uint32(sel.Share), Jt: uint8(len(to))},
	}
	prog = append(prog, to...)
	return append(prog, classicRange(sel.Rest, sel.Balance)...)
}

func classicRange(r Range, b Balance) []unix.SockFilter {
	if r.Count == 1 {
		return []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: uint32(r.First)}}
	}
	source := uint32(adRandom)
	if b == CPU {
		source = adCPU
	}
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: source},
		{Code: unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K, K: uint32(r.Count)},
		{Code: unix.BPF_ALU | unix.BPF_ADD | unix.BPF_K, K: uint32(r.First)},
		{Code: unix.BPF_RET | unix.BPF_A},
	}
}

// insn is struct bpf_insn with both registers zero: r0 is all we need.
type insn struct {
	code uint8
	off  int16
	imm  int32
}

const insnSize = 8

// Helpers of eBPF (enum bpf_func_id in linux/bpf.h).
const (
	getPrandomU32     = 7
	getSMPProcessorID = 8
)

// The operations of eBPF in use, all on the register r0.
const (
	opCall = unix.BPF_JMP | unix.BPF_CALL               // r0 = helper()
	opMov  = unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_K // r0 = imm
	opMod  = unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K   // r0 = uint32(r0) % imm
	opAdd  = unix.BPF_ALU | unix.BPF_ADD | unix.BPF_K   // r0 = uint32(r0) + imm
	opJGE  = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K   // if r0 >= imm skip off
	opExit = unix.BPF_JMP | unix.BPF_EXIT
)

// extended builds the program of the strategy EBPF.
func extended(sel Selection) []byte {
	only, divided := sel.divided()
	if !divided {
		return encode(extendedRange(only, sel.Balance))
	}
	to := extendedRange(sel.To, sel.Balance)
	prog := []insn{
		{code: opCall, imm: getPrandomU32},
		{code: opMod, imm: wholeShare},
		{code: opJGE, imm: int32(sel.Share), off: int16(len(to))},
	}
	prog = append(prog, to...)
	return encode(append(prog, extendedRange(sel.Rest, sel.Balance)...))
}

func extendedRange(r Range, b Balance) []insn {
	if r.Count == 1 {
		return []insn{{code: opMov, imm: int32(r.First)}, {code: opExit}}
	}
	helper := int32(getPrandomU32)
	if b == CPU {
		helper = getSMPProcessorID
	}
	return []insn{
		{code: opCall, imm: helper},
		{code: opMod, imm: int32(r.Count)},
		{code: opAdd, imm: int32(r.First)},
		{code: opExit},
	}
}

func encode(prog []insn) []byte {
	out := make([]byte, 0, len(prog)*insnSize)
	for _, i := range prog {
		out = append(out, i.code, 0)
		out = binary.NativeEndian.AppendUint16(out, uint16(i.off))
		out = binary.NativeEndian.AppendUint32(out, uint32(i.imm))
	}
	return out
}
