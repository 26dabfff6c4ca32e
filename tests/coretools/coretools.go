// Package coretools finds Azure Functions Core Tools ('func'), version 4, and says
// with which environment they must run.
package coretools

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Install says how to get what is looked for.
const Install = "npm install -g azure-functions-core-tools@4"

// Find returns the program of Core Tools 4, "" if there is none; why says why not,
// unless none are installed at all. Version 5 has no way to run a custom handler from
// a folder, and may be installed beside version 4, earlier on the PATH or under
// version 4's usual name; so every func on the PATH is asked. FUNC names one that
// is not there.
func Find(ctx context.Context) (program, why string) {
	for _, path := range candidates() {
		out, err := exec.CommandContext(ctx, path, "--version").Output()
		version := strings.TrimSpace(string(out))
		switch {
		case err != nil:
			why = fmt.Sprintf("%s does not say its version (%v), this app needs Core Tools 4 (%s).", path, err, Install)
		case strings.HasPrefix(version, "4."):
			return path, ""
		default:
			why = fmt.Sprintf("%s is version %q of Core Tools, this app needs 4 (%s).", path, version, Install)
		}
	}
	return "", why
}

// candidates are all programs that may be Core Tools, the likeliest first.
func candidates() []string {
	if named := os.Getenv("FUNC"); named != "" {
		return []string{named}
	}
	var all []string
	for _, name := range []string{"func", "func4"} {
		for _, folder := range filepath.SplitList(os.Getenv("PATH")) {
			// With a folder in front this looks for the one file; Windows adds the endings.
			if path, err := exec.LookPath(filepath.Join(folder, name)); err == nil && filepath.IsAbs(path) {
				all = append(all, path)
			}
		}
	}
	return all
}

// Environment is the environment for Core Tools, made of a process's. A variable of
// the shell would win over the same setting of local.settings.json, so those are left
// out, and with a proxy among the settings whatever else the shell says of proxies.
func Environment(environ []string, settings map[string]string) []string {
	drop := map[string]bool{}
	for name := range settings {
		drop[strings.ToUpper(name)] = true
	}
	if drop["HTTPS_PROXY"] {
		drop["NO_PROXY"], drop["HTTP_PROXY"], drop["ALL_PROXY"] = true, true, true
	}
	var env []string
	for _, entry := range environ {
		if name, _, _ := strings.Cut(entry, "="); !drop[strings.ToUpper(name)] {
			env = append(env, entry)
		}
	}
	return env
}
