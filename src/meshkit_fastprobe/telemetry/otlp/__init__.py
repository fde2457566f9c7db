"""Export to OpenTelemetry: metrics and log lines to a collector, as OTLP over HTTP. Imported when it is switched on."""
