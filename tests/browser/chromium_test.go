package browser

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// chromiums are where Chromium is looked for: by name in PATH, or by path.
var chromiums = []string{
	"chromium",         // Debian
	"chromium-browser", // Alpine, older Ubuntu
	"google-chrome",
	"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
	"/Applications/Chromium.app/Contents/MacOS/Chromium",
}

// findChromium returns the program in the environment variable CHROMIUM, or else
// the first of chromiums that is there.
func findChromium(getenv func(string) string, find func(string) (string, error)) (string, error) {
	if named := getenv("CHROMIUM"); named != "" {
		path, err := find(named)
		if err != nil {
			return "", fmt.Errorf("the environment variable CHROMIUM names %q, which cannot be run: %w", named, err)
		}
		return path, nil
	}
	for _, name := range chromiums {
		if path, err := find(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no Chromium found: install it (Debian and Ubuntu, as root: apt-get install --yes --no-install-recommends chromium; macOS: brew install --cask chromium), or name a Chromium or Chrome in the environment variable CHROMIUM")
}

// isProgram finds a program by name in PATH, or by path.
func isProgram(name string) (string, error) { return exec.LookPath(name) }

func TestFindChromium(t *testing.T) {
	there := func(names ...string) func(string) (string, error) {
		return func(name string) (string, error) {
			for _, n := range names {
				if n == name {
					return "/there/" + name, nil
				}
			}
			return "", os.ErrNotExist
		}
	}
	env := func(value string) func(string) string {
		return func(name string) string {
			if name == "CHROMIUM" {
				return value
			}
			return ""
		}
	}
	for _, c := range []struct {
		name, named, want, fault string
		there                    []string
	}{
		{name: "Debian's before Google's", there: []string{"google-chrome", "chromium"}, want: "/there/chromium"},
		{name: "Google's", there: []string{"google-chrome"}, want: "/there/google-chrome"},
		{name: "a named one before all", named: "mine", there: []string{"chromium", "mine"}, want: "/there/mine"},
		{name: "a named one that is not there", named: "mine", there: []string{"chromium"}, fault: "CHROMIUM names \"mine\""},
		{name: "none", fault: "apt-get install"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := findChromium(env(c.named), there(c.there...))
			if got != c.want || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
				t.Errorf("found %q, %v; want %q, an error with %q", got, err, c.want, c.fault)
			}
		})
	}
}
