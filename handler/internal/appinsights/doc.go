// Package appinsights exports OpenTelemetry's traces, metrics and logs to an
// Application Insights resource through its ingestion API. [New] returns a
// [Sender]; [Spans], [Metrics] and [Logs] are exporters for the OpenTelemetry
// SDK that share it:
//
//	connection, err := appinsights.ParseConnection(os.Getenv("APPLICATIONINSIGHTS_CONNECTION_STRING"))
//	sender := appinsights.New(appinsights.Options{Connection: connection, HTTP: client, …})
//	spans := sdktrace.NewTracerProvider(sdktrace.WithBatcher(appinsights.Spans{Sender: sender}))
//
// It exists because no maintained exporter for Go does. Microsoft offers
// exporters for .NET, Java, JavaScript and Python only; its ApplicationInsights-Go
// library calls itself unmaintained and unsupported; and the OpenTelemetry
// Collector's azuremonitor exporter runs inside a Collector and uses that library.
//
// It does what Microsoft's exporters do: it sends batches as gzipped lines of
// JSON, handles items that are refused one by one, retries, and signs in at
// Entra. Unlike them it sends no statistics about itself, follows no redirects,
// and stores nothing on disk.
//
// The SDK's resource says who sends: service.name becomes the cloud role,
// service.instance.id its instance, service.version the application's version.
//
// Source of names, types and lengths: the service's own description,
// azure-rest-api-specs, applicationinsights/data-plane/Monitor.Exporters, v2.1.
package appinsights
