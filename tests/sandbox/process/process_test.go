package process_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"xarchive/tests/sandbox/process"
)

// The test binary is also the child, told what to do by this variable.
const role = "PROCESS_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "serve":
		fmt.Println("serving")
		time.Sleep(time.Hour)
	case "fail":
		fmt.Fprintln(os.Stderr, "no such flag")
		os.Exit(3)
	case "stubborn":
		signalIgnore()
		fmt.Println("serving")
		time.Sleep(time.Hour)
	case "parent":
		child, err := start("serve")
		if err != nil {
			panic(err)
		}
		if err := child.WaitReady(context.Background(), says(child, "serving")); err != nil {
			panic(err)
		}
		fmt.Println(child.PID())
		time.Sleep(time.Hour)
	}
}

func start(as string) (*process.Child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return process.Start(context.Background(), process.Command{Name: "child", Path: self, Env: append(os.Environ(), role+"="+as)})
}

func says(c *process.Child, word string) func(context.Context) error {
	return func(context.Context) error {
		if !strings.Contains(c.Output(), word) {
			return errors.New("silent")
		}
		return nil
	}
}

func run(t *testing.T, as string) *process.Child {
	t.Helper()
	c, err := start(as)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Stop() })
	return c
}

func TestStop(t *testing.T) {
	t.Parallel()
	for _, as := range []string{"serve", "stubborn"} {
		c := run(t, as)
		if err := c.WaitReady(t.Context(), says(c, "serving")); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := c.Stop(); err != nil {
				t.Fatal(as, err)
			}
		}
		if err := syscall.Kill(c.PID(), 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%s: after Stop there is a process of that id: %v", as, err)
		}
	}
}

func TestReadyFails(t *testing.T) {
	c := run(t, "fail")
	err := c.WaitReady(t.Context(), says(c, "serving"))
	if err == nil || !strings.Contains(err.Error(), "no such flag") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("the error does not say what happened: %v", err)
	}

	c = run(t, "serve")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.WaitReady(ctx, says(c, "never said")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("out of time: %v", err)
	}
	select {
	case <-c.Done():
	default:
		t.Error("what did not become ready still runs")
	}
}

func TestMissingProgram(t *testing.T) {
	if _, err := process.Start(t.Context(), process.Command{Name: "nothing", Path: t.TempDir() + "/nothing"}); err == nil {
		t.Fatal("started a program that does not exist")
	}
}

// TestParentKilled: a child must not outlive a parent that had no time to stop it.
func TestParentKilled(t *testing.T) {
	if !kernelKillsOrphans {
		t.Skip("only Linux ends the children of a killed process")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), role+"=parent")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	var pid int
	if _, scanErr := fmt.Sscan(line, &pid); err != nil || scanErr != nil {
		_ = parent.Process.Kill()
		t.Fatalf("the parent said %q: %v", line, err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	deadline := time.Now().Add(10 * time.Second)
	for alive(pid) {
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatal("the child outlived its parent")
		}
		time.Sleep(time.Millisecond)
	}
}

// alive tells whether a process runs; one that has ended but that nobody has
// waited for does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}
