package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// usage is what a process has used.
type usage struct {
	cpu  time.Duration // user and system
	peak int64         // bytes, of the resident set since it was last reset
}

// clockTick is the unit of CPU time in /proc: USER_HZ, which is 100 on every platform
// that Go runs on.
const clockTick = 10 * time.Millisecond

// used reads what a process has used.
// https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
func used(pid int) (usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, fmt.Errorf("reading the CPU time of the handler (Linux only): %w", err)
	}
	// The second field is the program's name in parentheses, and may hold spaces.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return usage{}, fmt.Errorf("/proc/%d/stat has %d fields after the name, expected 13 at least", pid, len(fields))
	}
	var u usage
	for _, field := range fields[11:13] { // utime and stime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return usage{}, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		u.cpu += time.Duration(n) * clockTick
	}
	u.peak, err = peak(pid)
	return u, err
}

// peak reads the largest resident set of a process, in bytes.
func peak(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("VmHWM of process %d: %w", pid, err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no VmHWM", pid)
}

// resetPeak has the peak counted from now on.
// https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html
func resetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}
