package telemetry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"xarchive/handler/internal/appinsights"
	"xarchive/handler/internal/outbound"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
)

// The Functions host reads these two settings as well, so the connector's
// telemetry goes where the host's goes.
const (
	connectionSetting     = "APPLICATIONINSIGHTS_CONNECTION_STRING"
	authenticationSetting = "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"
)

// settings are the destinations that settings name, without the faulty ones.
type settings struct {
	azure *azure // nil: none
	otlp  []target
}

type azure struct {
	connection     appinsights.Connection
	authentication appinsights.Authentication
}

// readSettings returns the destinations that are set, and in its error every fault
// of the others, each beginning with the name of its setting. No fault repeats the
// setting's value, which may hold a key.
func readSettings(getenv func(string) string) (settings, error) {
	s := settings{}
	var errAzure, errOTLP error
	s.azure, errAzure = readAzure(getenv)
	s.otlp, errOTLP = readOTLP(getenv)
	return s, errors.Join(errAzure, errOTLP)
}

func readAzure(getenv func(string) string) (*azure, error) {
	text := getenv(connectionSetting)
	if text == "" {
		return nil, nil
	}
	connection, err := appinsights.ParseConnection(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", connectionSetting, err)
	}
	authentication, err := appinsights.ParseAuthentication(getenv(authenticationSetting))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", authenticationSetting, err)
	}
	return &azure{connection, authentication}, nil
}

// Check says for a person where telemetry goes, or that it is off. It sends
// nothing. Its error has a line for each faulty setting, as that of [New] has.
func Check(getenv func(string) string) (says string, err error) {
	s, err := readSettings(getenv)
	var where []string
	if s.azure != nil {
		how := "with the instrumentation key"
		if s.azure.authentication.Entra {
			how = "under the app's identity"
		}
		where = append(where, "Goes to "+s.azure.connection.Endpoint+", "+how+".")
	}
	for _, t := range s.otlp {
		where = append(where, "Goes to "+t.url+", by OTLP.")
	}
	if len(where) == 0 {
		return "Off: neither " + connectionSetting + " nor OTEL_EXPORTER_OTLP_ENDPOINT is set.", err
	}
	return strings.Join(where, " "), err
}

// identity says which app and which instance of it send. They have the names that
// the Functions host uses for itself, so that both are one on the application map.
// OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come before that.
func identity(getenv func(string) string, version string) (*resource.Resource, error) {
	instance := getenv("WEBSITE_INSTANCE_ID")
	if instance == "" {
		instance, _ = os.Hostname() // without it the instance is "unknown"
	}
	from, err := resource.New(context.Background(), resource.WithAttributes(
		attribute.String("service.name", cmp.Or(getenv("WEBSITE_SITE_NAME"), scope)),
		attribute.String("service.instance.id", cmp.Or(instance, "unknown")),
		attribute.String("service.version", version),
	), resource.WithFromEnv())
	if err != nil {
		err = fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return from, err
}

// open makes an exporter for each kind of telemetry and destination. Its error
// tells of those that could not be made.
func open(s settings, version string, web *http.Client, log *slog.Logger) (destinations, error) {
	var to destinations
	var faults []error
	if s.azure != nil {
		credential, err := s.azure.credential(web)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", authenticationSetting, err))
		} else {
			sender := appinsights.New(appinsights.Options{
				Connection: s.azure.connection, Credential: credential, HTTP: outbound.AllowHosts(web, s.azure.connection.Endpoint),
				Product: scope, Version: version, Log: log,
			})
			to.spans = append(to.spans, appinsights.Spans{Sender: sender})
			to.metrics = append(to.metrics, appinsights.Metrics{Sender: sender})
			to.logs = append(to.logs, appinsights.Logs{Sender: sender})
			to.insights = true
		}
	}
	for _, t := range s.otlp {
		if err := t.open(&to, web, log); err != nil {
			faults = append(faults, fmt.Errorf("sending %s by OTLP: %w", t.signal, err))
		}
	}
	return to, errors.Join(faults...)
}

// credential returns the app's managed identity, or nil if the connection needs
// none.
func (a *azure) credential(web *http.Client) (azcore.TokenCredential, error) {
	if !a.authentication.Entra {
		return nil, nil
	}
	options := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: azcore.ClientOptions{Transport: web}}
	if id := a.authentication.ClientID; id != "" {
		options.ID = azidentity.ClientID(id)
	}
	return azidentity.NewManagedIdentityCredential(options)
}
