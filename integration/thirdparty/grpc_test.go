package thirdparty

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
)

// callService answers with the number of its generation.
type callService struct {
	testgrpc.UnimplementedTestServiceServer
	g *generation
}

func (s *callService) UnaryCall(context.Context, *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
	s.g.work()
	return &testgrpc.SimpleResponse{ServerId: strconv.Itoa(s.g.Number())}, nil
}

func (s *callService) FullDuplexCall(stream testgrpc.TestService_FullDuplexCallServer) error {
	for {
		if _, err := stream.Recv(); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		s.g.work()
		body := []byte(strconv.Itoa(s.g.Number()))
		if err := stream.Send(&testgrpc.StreamingOutputCallResponse{Payload: &testgrpc.Payload{Body: body}}); err != nil {
			return err
		}
	}
}

func serveGRPC(g *generation, ln net.Listener) (end func()) {
	srv := grpc.NewServer()
	testgrpc.RegisterTestServiceServer(srv, &callService{g: g})
	serving(func() error { return GRPC(g.conns, ln, srv) })
	return srv.Stop
}

// grpcClient makes unary calls and holds streams on one connection. What grpc-go
// repeats by itself is no error; what it returns is.
func grpcClient(l *load) {
	cc, err := grpc.NewClient("passthrough:///"+l.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		l.lose(err)
		return
	}
	defer cc.Close()
	c := &calls{load: l, client: testgrpc.NewTestServiceClient(cc)}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !l.stopped() {
				if _, err := c.unary(); err != nil {
					l.lose(err)
				}
			}
		})
	}
	for !l.stopped() {
		if err := c.stream(); err != nil {
			l.lose(err)
		}
	}
	wg.Wait()
}

type calls struct {
	*load
	client testgrpc.TestServiceClient
}

// unary returns who answered.
func (c *calls) unary() (generation string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	resp, err := c.client.UnaryCall(ctx, new(testgrpc.SimpleRequest))
	if err != nil {
		return "", fmt.Errorf("unary: %w", err)
	}
	c.answered.Add(1)
	return resp.ServerId, nil
}

// stream holds a stream until calls on the same connection have moved to the
// next generation, which is after its GOAWAY, and then uses it some more.
func (c *calls) stream() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	s, err := c.client.FullDuplexCall(ctx)
	if err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	first, err := c.message(s)
	if err != nil {
		return err
	}
	moved := false
	for !moved && !c.stopped() {
		g, err := c.unary()
		if err != nil {
			return err
		}
		moved = g != first
	}
	for range 3 {
		if g, err := c.message(s); err != nil {
			return err
		} else if g != first {
			return fmt.Errorf("stream of generation %s answered by %s", first, g)
		}
	}
	if err := s.CloseSend(); err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	if _, err := s.Recv(); err != io.EOF {
		return fmt.Errorf("stream: end: %w", err)
	}
	if moved {
		c.held.Add(1)
	}
	return nil
}

func (c *calls) message(s testgrpc.TestService_FullDuplexCallClient) (generation string, err error) {
	// The error of Send is io.EOF; that of Recv says why.
	s.Send(new(testgrpc.StreamingOutputCallRequest))
	resp, err := s.Recv()
	if err != nil {
		return "", fmt.Errorf("stream: %w", err)
	}
	c.answered.Add(1)
	return string(resp.Payload.Body), nil
}
