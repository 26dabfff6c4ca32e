package telemetry

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"xarchive/handler/internal/loopback"

	"golang.org/x/net/http/httpguts"
)

// target is where one signal goes by OTLP, over HTTP with protobuf.
type target struct {
	signal  string // "traces", "metrics" or "logs"
	url     string // the whole URL that is posted to
	headers map[string]string
}

// readOTLP reads OpenTelemetry's settings of OTLP exporters. Each one,
// OTEL_EXPORTER_OTLP_<NAME>, can be set for one signal, too:
// OTEL_EXPORTER_OTLP_<SIGNAL>_<NAME>. A signal without an endpoint is not sent, and
// one with a faulty setting neither.
// https://opentelemetry.io/docs/specs/otel/protocol/exporter/
func readOTLP(getenv func(string) string) ([]target, error) {
	var targets []target
	faults := faults{}
	for _, signal := range []string{"traces", "metrics", "logs"} {
		setting := func(name string) (string, string) {
			own := "OTEL_EXPORTER_OTLP_" + strings.ToUpper(signal) + "_" + name
			if value := strings.TrimSpace(getenv(own)); value != "" {
				return own, value
			}
			general := "OTEL_EXPORTER_OTLP_" + name
			return general, strings.TrimSpace(getenv(general))
		}
		name, text := setting("ENDPOINT")
		if text == "" {
			continue
		}
		endpoint, err := parseEndpoint(text)
		good := faults.add(name, err)
		if protocol, text := setting("PROTOCOL"); text != "" && text != "http/protobuf" {
			good = faults.add(protocol, errors.New("it is not http/protobuf, the only protocol that the connector has"))
		}
		headers, text := setting("HEADERS")
		values, err := parseHeaders(text)
		good = faults.add(headers, err) && good
		if !good {
			continue
		}
		if len(values) > 0 && endpoint.Scheme != "https" && !loopback.Host(endpoint.Hostname()) {
			faults.add(headers, fmt.Errorf("%s is not https: headers, which often hold a key, would go out unencrypted", name))
			continue
		}
		switch {
		case name == "OTEL_EXPORTER_OTLP_ENDPOINT":
			endpoint = endpoint.JoinPath("v1", signal)
		case endpoint.Path == "":
			endpoint.Path = "/"
		}
		targets = append(targets, target{signal, endpoint.String(), values})
	}
	return targets, faults.err()
}

// faults collects one fault for each setting.
type faults struct {
	names map[string]bool
	all   []error
}

// add adds a fault of a setting, unless err is nil, and reports whether there was
// none. Settings that several signals share are named once.
func (f *faults) add(setting string, err error) bool {
	if err == nil {
		return true
	}
	if !f.names[setting] {
		if f.names == nil {
			f.names = map[string]bool{}
		}
		f.names[setting] = true
		f.all = append(f.all, fmt.Errorf("%s: %w", setting, err))
	}
	return false
}

func (f *faults) err() error { return errors.Join(f.all...) }

func parseEndpoint(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("it is not a URL of a host and a path, like https://collector.example.com:4318")
	}
	return u, nil
}

// parseHeaders parses `name=value,name=value`, with values that are
// percent-encoded.
func parseHeaders(text string) (map[string]string, error) {
	headers := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, found := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !found || err != nil || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, errors.New("it is not name=value pairs with commas between them, their values percent-encoded")
		}
		headers[name] = value
	}
	return headers, nil
}
