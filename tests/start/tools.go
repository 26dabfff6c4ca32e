package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"time"

	"xarchive/tests/coretools"
)

// runTools runs the app by Core Tools until they end. They are in this process's
// group: the terminal's Ctrl-C reaches them, and they end by themselves.
func runTools(ctx context.Context, program, app string, s settings, out io.Writer) error {
	cmd := exec.Command(program, "start", "--script-root", app)
	cmd.Env = coretools.Environment(os.Environ(), s.Values)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, out, os.Stderr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting Core Tools: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	listening := make(chan struct{})
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go waitListening(watching, s.port(), listening)
	for {
		select {
		case <-listening:
			listening = nil
			// Their own list shows the routes' regular expressions, which nobody can open.
			fmt.Fprint(out, addresses(s))
		case err := <-ended:
			if err != nil && ctx.Err() == nil {
				return fmt.Errorf("Core Tools ended: %w", err)
			}
			return nil
		}
	}
}

// waitListening closes done once somebody listens on a port of this machine.
func waitListening(ctx context.Context, port int, done chan<- struct{}) {
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			_ = conn.Close()
			close(done)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}
