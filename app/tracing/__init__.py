"""Traces by OpenTelemetry: whether they are asked for, the spans of a request, and how they are sent."""
