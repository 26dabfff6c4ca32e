package appinsights

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
)

// envelope is one item of telemetry.
type envelope struct {
	Ver  int               `json:"ver"`
	Name string            `json:"name"`
	Time string            `json:"time"` // ISO 8601, UTC
	IKey string            `json:"iKey"`
	Tags map[string]string `json:"tags"`
	Data data              `json:"data"`
}

type data struct {
	BaseType string `json:"baseType"`
	BaseData any    `json:"baseData"`
}

type requestData struct {
	Ver          int               `json:"ver"`
	ID           string            `json:"id"`
	Name         string            `json:"name"`
	Duration     string            `json:"duration"`
	Success      bool              `json:"success"`
	ResponseCode string            `json:"responseCode"`
	URL          string            `json:"url,omitempty"`
	Properties   map[string]string `json:"properties,omitempty"`
}

type remoteDependencyData struct {
	Ver        int               `json:"ver"`
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Duration   string            `json:"duration"`
	Success    bool              `json:"success"`
	ResultCode string            `json:"resultCode"`
	Type       string            `json:"type"`
	Target     string            `json:"target,omitempty"`
	Data       string            `json:"data,omitempty"`
	Properties map[string]string `json:"properties,omitempty"`
}

type messageData struct {
	Ver           int               `json:"ver"`
	Message       string            `json:"message"`
	SeverityLevel string            `json:"severityLevel"`
	Properties    map[string]string `json:"properties,omitempty"`
}

type exceptionData struct {
	Ver           int                `json:"ver"`
	Exceptions    []exceptionDetails `json:"exceptions"`
	SeverityLevel string             `json:"severityLevel"`
	Properties    map[string]string  `json:"properties,omitempty"`
}

type exceptionDetails struct {
	TypeName     string `json:"typeName"`
	Message      string `json:"message"`
	HasFullStack bool   `json:"hasFullStack"`
	Stack        string `json:"stack,omitempty"`
}

// metricData has one data point: of several, the service keeps only the first.
type metricData struct {
	Ver        int               `json:"ver"`
	Metrics    []dataPoint       `json:"metrics"`
	Properties map[string]string `json:"properties,omitempty"`
}

type dataPoint struct {
	Name  string   `json:"name"`
	Kind  string   `json:"kind,omitempty"` // Aggregation, where count, min and max are set
	Value float64  `json:"value"`          // of an aggregation: the sum
	Count *int     `json:"count,omitempty"`
	Min   *float64 `json:"min,omitempty"`
	Max   *float64 `json:"max,omitempty"`
}

// Longest values, in characters. The service refuses an item with a longer one.
const (
	maxName     = 1024
	maxKey      = 150
	maxProperty = 8192
	maxMessage  = 32768
	maxURL      = 2048
	maxTag      = 256
	maxProduct  = 64
)

// encoder makes items.
type encoder struct {
	key     string // instrumentation key
	product string // name and version of the sending software
}

// envelope wraps an item. operation is a trace id and parent a span id, both in
// hex; either may be "".
func (e encoder) envelope(from *resource.Resource, name, baseType string, at time.Time, operation, parent string, item any) envelope {
	tags := map[string]string{"ai.internal.sdkVersion": cut(e.product, maxProduct)}
	tag := func(name, value string) {
		if value != "" {
			tags[name] = cut(value, maxTag)
		}
	}
	tag("ai.operation.id", operation)
	tag("ai.operation.parentId", parent)
	for key, name := range map[attribute.Key]string{
		"service.name": "ai.cloud.role", "service.instance.id": "ai.cloud.roleInstance", "service.version": "ai.application.ver",
	} {
		value, _ := from.Set().Value(key)
		tag(name, value.AsString())
	}
	return envelope{Ver: 1, Name: name, Time: at.UTC().Format("2006-01-02T15:04:05.000000Z"), IKey: e.key, Tags: tags, Data: data{baseType, item}}
}

// duration returns DD.HH:MM:SS.MMMMMM. The service takes less than 1000 days.
func duration(d time.Duration) string {
	const longest = 1000*24*time.Hour - time.Microsecond
	d = min(max(d, 0), longest)
	days, d := d/(24*time.Hour), d%(24*time.Hour)
	return fmt.Sprintf("%02d.%02d:%02d:%02d.%06d", days, d/time.Hour, d/time.Minute%60, d/time.Second%60, d/time.Microsecond%1e6)
}

// cut shortens a text to a number of characters and makes it valid UTF-8.
func cut(text string, longest int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= longest || utf8.RuneCountInString(text) <= longest {
		return text
	}
	n := 0
	for i := range text {
		if n++; n == longest {
			return text[:i] + "…"
		}
	}
	return text
}

// put adds a property, shortened to what the service takes.
func put(properties map[string]string, key, value string) {
	properties[cut(key, maxKey)] = cut(value, maxProperty)
}
