package parent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"xarchive/handler/internal/parent"
)

// The test binary is also the parent that ends, and its child.
const role = "PARENT_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "parent":
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), role+"=child")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		_ = cmd.Wait()
	case "child":
		ctx, cancel := parent.Context(context.Background())
		defer cancel()
		fmt.Println("watching")
		<-ctx.Done()
		fmt.Println(context.Cause(ctx))
	default:
		os.Exit(m.Run())
	}
}

// TestGone: the child of a killed process learns of it.
func TestGone(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"=parent")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	watching := make([]byte, len("watching\n"))
	if _, err := io.ReadFull(read, watching); err != nil {
		t.Fatalf("the child did not start: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(read) // ends with the child
	if err != nil || strings.TrimSpace(string(said)) != parent.ErrGone.Error() {
		t.Errorf("want %q, got %q, %v", parent.ErrGone, said, err)
	}
	_ = cmd.Wait()
}

// TestCancel: with its parent alive, the context ends with its own parent or its
// cancel only.
func TestCancel(t *testing.T) {
	above, end := context.WithCancelCause(t.Context())
	ctx, cancel := parent.Context(above)
	defer cancel()
	if ctx.Err() != nil {
		t.Fatalf("it has ended: %v", context.Cause(ctx))
	}
	reason := errors.New("enough")
	end(reason)
	<-ctx.Done()
	if context.Cause(ctx) != reason {
		t.Errorf("want %v, got %v", reason, context.Cause(ctx))
	}
	ctx, cancel = parent.Context(t.Context())
	cancel()
	<-ctx.Done()
	if !errors.Is(context.Cause(ctx), context.Canceled) {
		t.Errorf("got %v", context.Cause(ctx))
	}
}
