// Package process starts the programs that the sandbox is made of and sees to it
// that none of them outlives the sandbox.
//
// [Start] runs a program in a process group of its own, [Child.WaitReady] waits
// until it serves, and [Child.Stop] ends it with its whole group. If the starting
// process dies without a word, Linux kills the child (see parent_linux.go); on
// other systems a child can watch its standard input instead, which ends with
// the process that started it.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// grace is how long a child may take to end by itself after SIGTERM.
	grace = 5 * time.Second
	// probeEvery is the pause between two looks at whether a child is ready.
	probeEvery = 20 * time.Millisecond
	// maxOutput bounds what is kept of a child's output: the last bytes.
	maxOutput = 64 << 10
)

// Command says what to run.
type Command struct {
	Name string // what errors call it
	Path string // the program
	Args []string
	Dir  string    // working directory; "" is this process's
	Env  []string  // its whole environment, as os.Environ's
	Log  io.Writer // gets what it writes, too; nil for nowhere
}

// Child is a running program. Its methods may be called at once.
type Child struct {
	name   string
	cmd    *exec.Cmd
	output tail
	stdin  *os.File      // write end; nothing is ever written
	done   chan struct{} // closed once the program has ended
	err    error         // of Wait; read after done
}

// Start runs a program. It does not end with ctx, which only bounds the start;
// the caller must call Stop.
func Start(ctx context.Context, command Command) (*Child, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", command.Name, err)
	}
	c := &Child{name: command.Name, done: make(chan struct{})}
	c.cmd = exec.Command(command.Path, command.Args...)
	c.cmd.Dir, c.cmd.Env = command.Dir, command.Env
	var output io.Writer = &c.output
	if command.Log != nil {
		output = io.MultiWriter(&c.output, command.Log)
	}
	c.cmd.Stdout, c.cmd.Stderr = output, output
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(c.cmd.SysProcAttr)
	// A descendant that keeps the output open must not make Wait hang.
	c.cmd.WaitDelay = time.Second

	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", command.Name, err)
	}
	c.cmd.Stdin, c.stdin = read, write
	started := make(chan error)
	go func() {
		// The kernel's "parent" is the thread that started the child. Locked, it
		// lives until the child has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	err = <-started
	_ = read.Close()
	if err != nil {
		_ = write.Close()
		return nil, fmt.Errorf("starting %s: %w", command.Name, err)
	}
	return c, nil
}

// WaitReady asks ready again and again until it returns nil. If the program ends
// first or ctx does, the program is stopped, and the error says why it was not
// ready and what the program had to say.
func (c *Child) WaitReady(ctx context.Context, ready func(context.Context) error) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-c.done:
			_ = c.Stop()
			return fmt.Errorf("%s ended (%v) before it was ready: %w%s", c.name, c.err, err, c.said())
		case <-ctx.Done():
			_ = c.Stop()
			return fmt.Errorf("%s is not ready: %w: %w%s", c.name, context.Cause(ctx), err, c.said())
		case <-tick.C:
		}
	}
}

// Stop ends the program: SIGTERM to its group, and SIGKILL if it has not ended
// 5 seconds later. It returns when the program is gone; a second call does nothing.
// The error is of a program that could not be signalled.
func (c *Child) Stop() error {
	defer c.stdin.Close()
	if err := c.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-c.done:
	case <-time.After(grace):
	}
	// What is left of the group, if anything.
	if err := c.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-c.done
	return nil
}

func (c *Child) signal(s syscall.Signal) error {
	select {
	case <-c.done:
		// The id may belong to another process by now, unless the group lives on,
		// which this program's descendants do not.
		return nil
	default:
	}
	err := syscall.Kill(-c.cmd.Process.Pid, s)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stopping %s: %w", c.name, err)
	}
	return nil
}

// Done is closed when the program has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// PID is the program's process id, and its group's.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Output is the end of what the program has written so far, 64 KiB at most.
func (c *Child) Output() string { return c.output.String() }

func (c *Child) said() string {
	text := strings.TrimSpace(c.Output())
	if text == "" {
		return " (it wrote nothing)"
	}
	return "\nit wrote:\n" + text
}

// tail keeps the last bytes written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - maxOutput; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}
