"""A collector of traces inside the test's own process: OTLP over HTTP, as Jaeger and Tempo take it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    has_failed: bool
    attributes: dict[str, str]


class Collector:
    """Keeps each span, and all bytes that came."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.spans: list[Span] = []
        self.bodies = b""

    def take(self, body: bytes) -> None:
        self.bodies += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = next(
                each.value.string_value for each in resource.resource.attributes if each.key == "service.name"
            )
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                attributes = {
                    each.key: each.value.string_value or str(each.value.int_value) for each in span.attributes
                }
                ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
                self.spans.append(Span(service, span.name, *ids, span.status.code == 2, attributes))

    def trace(self, trace_id: str) -> list[Span]:
        return [span for span in self.spans if span.trace_id == trace_id]

    @classmethod
    @contextmanager
    def listening(cls) -> Iterator["Collector"]:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                is_known = self.path == "/v1/traces"
                if is_known:
                    collector.take(body)
                self.send_response(200 if is_known else 404)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Keeps the log of the tests empty."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            collector = cls(f"http://127.0.0.1:{server.server_port}")
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            yield collector
            server.shutdown()
