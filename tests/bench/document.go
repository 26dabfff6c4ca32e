package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// table is the figures in Markdown.
func table(figures []figure) string {
	var b strings.Builder
	b.WriteString("| what | for each | storage calls | of them writes | requests to X | bytes to and from storage | CPU, ms | peak memory, MiB |\n|---|---|--:|--:|--:|--:|--:|--:|\n")
	for _, f := range figures {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %d |\n", f.what, f.unit,
			short(f.per(float64(f.calls()))), short(f.per(float64(f.writes()))), short(f.per(float64(f.asked))), grouped(int64(f.per(float64(f.bytes())))),
			short(f.milliseconds()), f.peak>>20)
	}
	return b.String()
}

// short has as many digits as are worth reading.
func short(v float64) string {
	switch {
	case v >= 100:
		return grouped(int64(v + 0.5))
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(v, 'f', 3, 64), "0"), ".")
}

// grouped writes thousands with commas.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return grouped(int64(n)) + " " + what
}

// machine says on what the figures were measured: nothing that names a place.
func machine() (string, error) {
	cpu, err := value("/proc/cpuinfo", "model name")
	if err != nil {
		return "", err
	}
	memory, err := value("/proc/meminfo", "MemTotal")
	if err != nil {
		return "", err
	}
	kib, err := strconv.ParseInt(strings.TrimSuffix(memory, " kB"), 10, 64)
	if err != nil {
		return "", fmt.Errorf("reading the size of memory: %w", err)
	}
	return fmt.Sprintf("Measured with %s on %s/%s: %s, %d cores, %d GiB of memory.",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, cpu, runtime.NumCPU(), (kib+1<<19)>>20), nil
}

// value reads a line "name : value" of a file of /proc.
func value(file, name string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(content)) {
		if key, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(v), nil
		}
	}
	return "", fmt.Errorf("%s does not say %q", file, name)
}

// The markers between which the figures stand in the document.
const (
	begin = "<!-- figures: written by make bench -->"
	end   = "<!-- end of figures -->"
)

// keep replaces what stands between the markers.
func keep(file, figures string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	replaced, err := replace(string(content), figures)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(replaced), 0o644)
}

// replace returns the document with other figures.
func replace(document, figures string) (string, error) {
	before, rest, ok := strings.Cut(document, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed || strings.Contains(after, begin) {
		return "", fmt.Errorf("the markers %q and %q must stand there once", begin, end)
	}
	return before + begin + "\n\n" + strings.TrimSpace(figures) + "\n\n" + end + after, nil
}
