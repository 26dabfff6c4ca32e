package appinsights

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// Connection says where telemetry goes.
type Connection struct {
	InstrumentationKey string // a GUID that names the Application Insights resource
	Endpoint           string // base URL of the ingestion API: https, without a trailing slash
	Scope              string // of an Entra token for the ingestion API
}

const (
	// globalEndpoint is used when the connection string names no endpoint.
	globalEndpoint = "https://dc.services.visualstudio.com"

	// publicScope is that of Azure Monitor in the public cloud. The two slashes are
	// correct. Connection strings of other clouds have AADAudience.
	publicScope = "https://monitor.azure.com//.default"

	maxConnectionString = 4096
)

var (
	instrumentationKey = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	domain             = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`)
	region             = regexp.MustCompile(`^[A-Za-z0-9]+$`)
)

// ParseConnection parses a connection string, `InstrumentationKey=…;IngestionEndpoint=…`,
// as the Overview page of the resource shows it. Its error says what is wrong and
// never repeats the string: unless the resource enforces Entra sign-in, whoever has
// the key can write to it.
// https://learn.microsoft.com/azure/azure-monitor/app/connection-strings
func ParseConnection(text string) (Connection, error) {
	if len(text) > maxConnectionString {
		return Connection{}, fmt.Errorf("it is longer than %d characters", maxConnectionString)
	}
	part, err := pairs(text)
	if err != nil {
		return Connection{}, err
	}
	c := Connection{InstrumentationKey: part["instrumentationkey"], Scope: publicScope}
	switch {
	case c.InstrumentationKey == "":
		return Connection{}, errors.New("it has no InstrumentationKey: copy the connection string whole from the Application Insights resource, page Overview")
	case !instrumentationKey.MatchString(c.InstrumentationKey):
		return Connection{}, errors.New("its InstrumentationKey is not a GUID")
	case part["authorization"] != "" && !strings.EqualFold(part["authorization"], "ikey"):
		return Connection{}, errors.New("its Authorization is not ikey: to sign in at Entra, set APPLICATIONINSIGHTS_AUTHENTICATION_STRING instead")
	}
	if audience := part["aadaudience"]; audience != "" {
		c.Scope = audience + "/.default"
	}
	c.Endpoint, err = endpoint(part)
	return c, err
}

// endpoint returns the endpoint that the string names, or the one its suffix and
// location amount to, or the global one.
func endpoint(part map[string]string) (string, error) {
	suffix, location := strings.TrimLeft(part["endpointsuffix"], "."), strings.TrimRight(part["location"], ".")
	switch {
	case part["ingestionendpoint"] != "":
		u, err := url.Parse(part["ingestionendpoint"])
		if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return "", errors.New("its IngestionEndpoint is not a URL of a host and a path, like https://westeurope-5.in.applicationinsights.azure.com/")
		}
		if u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
			return "", errors.New("its IngestionEndpoint is not https (http is allowed for this machine only)")
		}
		return strings.TrimRight(u.String(), "/"), nil
	case suffix == "":
		return globalEndpoint, nil
	case !domain.MatchString(suffix):
		return "", errors.New("its EndpointSuffix is not a domain, like applicationinsights.azure.cn")
	case location == "":
		return "https://dc." + suffix, nil
	case !region.MatchString(location):
		return "", errors.New("its Location is not an Azure region, like chinaeast2")
	}
	return "https://" + location + ".dc." + suffix, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Authentication says how the sender signs in to the ingestion API.
type Authentication struct {
	Entra    bool   // false: the instrumentation key is enough
	ClientID string // of a user-assigned identity; "" for the system-assigned one
}

// ParseAuthentication parses `Authorization=AAD;ClientId=…`, the form in which
// Azure Functions has this setting. An empty text means no sign-in.
// https://learn.microsoft.com/azure/azure-functions/functions-app-settings#applicationinsights_authentication_string
func ParseAuthentication(text string) (Authentication, error) {
	part, err := pairs(text)
	switch {
	case err != nil:
		return Authentication{}, err
	case len(part) == 0:
		return Authentication{}, nil
	case !strings.EqualFold(part["authorization"], "AAD"):
		return Authentication{}, errors.New("it is not Authorization=AAD, with ClientId=<client id of the app's identity> for one that is user-assigned")
	}
	return Authentication{Entra: true, ClientID: part["clientid"]}, nil
}

// pairs parses `Key=value;…`. The case of keys does not matter: they are lower-cased.
func pairs(text string) (map[string]string, error) {
	out := map[string]string{}
	for pair := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, found := strings.Cut(pair, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		if !found || key == "" {
			return nil, errors.New("it is not Key=value pairs with semicolons between them")
		}
		if _, twice := out[key]; twice {
			return nil, errors.New("it has one of its keys twice")
		}
		out[key] = strings.TrimSpace(value)
	}
	return out, nil
}
