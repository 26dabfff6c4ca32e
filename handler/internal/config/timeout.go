package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

const (
	// defaultTimeout is the host's on the Consumption plan, the shortest of all
	// plans. https://learn.microsoft.com/azure/azure-functions/functions-host-json#functiontimeout
	defaultTimeout = 5 * time.Minute

	// unboundedTimeout stands for the "-1" of the Premium and Dedicated plans: a
	// tick still ends, and the next one goes on.
	unboundedTimeout = time.Hour
)

// functionTimeout is the host's limit for one invocation: the setting with which
// app settings override host.json, or host.json in the app's folder.
func (s *settings) functionTimeout() time.Duration {
	const override = "AzureFunctionsJobHost__functionTimeout"
	where, text := override, s.get(override)
	if text == "" {
		where = filepath.Join(s.get("FUNCTIONS_APP_ROOT_PATH"), "host.json")
		var err error
		if text, err = timeoutOfHostJSON(where); err != nil {
			s.fault("%s cannot be read: %w", where, err)
			return defaultTimeout
		}
	}
	if text == "" {
		return defaultTimeout
	}
	timeout, err := parseTimeSpan(text)
	if err != nil {
		s.fault("functionTimeout in %s: %w", where, err)
		return defaultTimeout
	}
	return timeout
}

// timeoutOfHostJSON is "" where the file, or the member, is missing.
func timeoutOfHostJSON(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var host struct {
		FunctionTimeout string `json:"functionTimeout"`
	}
	err = json.Unmarshal(raw, &host)
	return host.FunctionTimeout, err
}

var timeSpan = regexp.MustCompile(`^(?:([0-9]{1,3})\.)?([0-9]{1,2}):([0-9]{2}):([0-9]{2})$`)

// parseTimeSpan reads a .NET TimeSpan, [d.]hh:mm:ss, greater than zero; "-1" is
// no limit.
func parseTimeSpan(text string) (time.Duration, error) {
	if text == "-1" {
		return unboundedTimeout, nil
	}
	part := timeSpan.FindStringSubmatch(text)
	if part == nil {
		return 0, fmt.Errorf("%q is not a time of the form hh:mm:ss", text)
	}
	n := [4]int{}
	for i := range n {
		n[i], _ = strconv.Atoi(part[i+1]) // digits, or "" for no days
	}
	if n[1] > 23 || n[2] > 59 || n[3] > 59 || n == [4]int{} {
		return 0, fmt.Errorf("%q is not a time of the form hh:mm:ss", text)
	}
	return time.Duration(n[0])*24*time.Hour + time.Duration(n[1])*time.Hour +
		time.Duration(n[2])*time.Minute + time.Duration(n[3])*time.Second, nil
}
