package reuseport

import (
	"net"
	"testing"
)

// BenchmarkAccept takes connections that wait in the queue.
func BenchmarkAccept(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		benchmarkAccept(b, bareListener(b))
	})
	b.Run("one socket", func(b *testing.B) {
		benchmarkAccept(b, open(b, "tcp4", "127.0.0.1:0", nil))
	})
	b.Run("four sockets", func(b *testing.B) {
		benchmarkAccept(b, open(b, "tcp4", "127.0.0.1:0", &Options{Sockets: 4}))
	})
}

func benchmarkAccept(b *testing.B, ln net.Listener) {
	const batch = 100
	clients := make([]net.Conn, 0, batch)
	served := make([]net.Conn, 0, batch)
	b.ReportAllocs()
	b.StopTimer()
	for done := 0; done < b.N; done += len(served) {
		clients, served = clients[:0], served[:0]
		for range min(batch, b.N-done) {
			c, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			_ = c.(*net.TCPConn).SetLinger(0)
			clients = append(clients, c)
		}
		b.StartTimer()
		for range clients {
			c, err := ln.Accept()
			if err != nil {
				b.Fatal(err)
			}
			served = append(served, c)
		}
		b.StopTimer()
		for i := range clients {
			_ = clients[i].Close()
			_ = served[i].Close()
		}
	}
}

func BenchmarkSteer(b *testing.B) {
	for _, s := range steering(b) {
		b.Run(string(s), func(b *testing.B) {
			l := open(b, "tcp4", "127.0.0.1:0", &Options{Sockets: 2, Strategy: s})
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				steer(b, l, Selection{To: Range{First: i % 2, Count: 1}})
			}
		})
	}
}

// BenchmarkHalfOpen shows what one look of Empty costs.
func BenchmarkHalfOpen(b *testing.B) {
	l := open(b, "tcp4", "127.0.0.1:0", nil)
	for b.Loop() {
		if _, err := l.HalfOpen(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEmpty shows what a socket with nothing left costs.
func BenchmarkEmpty(b *testing.B) {
	l := open(b, "tcp4", "127.0.0.1:0", nil)
	for b.Loop() {
		if _, err := l.Empty(b.Context(), 0); err != nil {
			b.Fatal(err)
		}
	}
}
