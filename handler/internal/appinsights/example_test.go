package appinsights_test

import (
	"context"
	"log/slog"
	"net/http"
	"os"

	"xarchive/handler/internal/appinsights"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Spans of a program called shop go to Application Insights, under the program's
// managed identity if Options.Credential is set.
func Example() {
	connection, err := appinsights.ParseConnection(os.Getenv("APPLICATIONINSIGHTS_CONNECTION_STRING"))
	if err != nil {
		slog.Error("the connection string is faulty", "error", err)
		return
	}
	sender := appinsights.New(appinsights.Options{
		Connection: connection, HTTP: http.DefaultClient, Product: "shop", Version: "v1.2.3", Log: slog.Default(),
	})
	spans := sdktrace.NewTracerProvider(
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "shop"))),
		sdktrace.WithBatcher(appinsights.Spans{Sender: sender}),
	)
	ctx := context.Background()
	defer spans.Shutdown(ctx)
	_, span := spans.Tracer("shop").Start(ctx, "sell")
	span.End()
}
