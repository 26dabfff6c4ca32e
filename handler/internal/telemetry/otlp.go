package telemetry

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
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

// readOTLP returns the targets that OpenTelemetry's settings of OTLP exporters name.
// Each setting, OTEL_EXPORTER_OTLP_<NAME>, can be replaced for one signal by
// OTEL_EXPORTER_OTLP_<SIGNAL>_<NAME>. A signal without an endpoint or with a faulty
// setting has no target; the error has a line for each faulty setting.
// https://opentelemetry.io/docs/specs/otel/protocol/exporter/
func readOTLP(getenv func(string) string) ([]target, error) {
	var targets []target
	r := otlpReader{getenv: getenv}
	for _, signal := range []string{"traces", "metrics", "logs"} {
		if t := r.target(signal); t != nil {
			targets = append(targets, *t)
		}
	}
	return targets, errors.Join(r.faults...)
}

type otlpReader struct {
	getenv func(string) string
	faulty []string // names of settings, each once though signals share them
	faults []error
}

func (r *otlpReader) fault(setting string, err error) {
	if !slices.Contains(r.faulty, setting) {
		r.faulty = append(r.faulty, setting)
		r.faults = append(r.faults, fmt.Errorf("%s: %w", setting, err))
	}
}

// names returns a setting's general name and its name for a signal.
func names(signal, name string) (general, own string) {
	return "OTEL_EXPORTER_OTLP_" + name, "OTEL_EXPORTER_OTLP_" + strings.ToUpper(signal) + "_" + name
}

// read returns the value of a setting for a signal and the name of the setting that
// it is from, "" if there is none. It parses the general setting even if the
// signal's own replaces it, because the exporters do that as well and print a faulty
// one, with its value.
func read[T any](r *otlpReader, signal, name string, parse func(string) (T, error)) (value T, from string, ok bool) {
	ok = true
	general, own := names(signal, name)
	for _, setting := range []string{general, own} {
		text := strings.TrimSpace(r.getenv(setting))
		if text == "" {
			continue
		}
		var err error
		value, err = parse(text)
		if from = setting; err != nil {
			r.fault(setting, err)
			ok = false
		}
	}
	return value, from, ok
}

// target returns the target of a signal, nil if there is none.
func (r *otlpReader) target(signal string) *target {
	endpoint, from, ok := read(r, signal, "ENDPOINT", parseEndpoint)
	if from == "" {
		return nil
	}
	headers, fromHeaders, headersOK := read(r, signal, "HEADERS", parseHeaders)
	protocolOK := r.protocol(signal)
	if !ok || !headersOK || !protocolOK {
		return nil
	}
	if len(headers) > 0 && endpoint.Scheme != "https" && !loopback.Host(endpoint.Hostname()) {
		r.fault(fromHeaders, fmt.Errorf("%s is not https, so headers, which often hold a key, would be sent unencrypted", from))
		return nil
	}
	switch general, _ := names(signal, "ENDPOINT"); {
	case from == general:
		endpoint = endpoint.JoinPath("v1", signal)
	case endpoint.Path == "":
		endpoint.Path = "/"
	}
	return &target{signal, endpoint.String(), headers}
}

// protocol reports whether the protocol of a signal is the one that is linked in. A
// general one that the signal's own replaces may be another.
func (r *otlpReader) protocol(signal string) bool {
	general, own := names(signal, "PROTOCOL")
	setting := own
	if strings.TrimSpace(r.getenv(own)) == "" {
		setting = general
	}
	if text := strings.TrimSpace(r.getenv(setting)); text != "" && text != "http/protobuf" {
		r.fault(setting, errors.New("it is not http/protobuf, the only protocol that the connector has"))
		return false
	}
	return true
}

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
