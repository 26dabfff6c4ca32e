// Package panics turns a panic into an error, so that one piece of work that goes
// wrong takes down neither its neighbours nor the process.
package panics

import (
	"fmt"
	"runtime/debug"
)

// Catch calls f; a panic of f becomes an error that holds its stack.
func Catch(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}
