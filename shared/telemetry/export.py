"""Makes spans with OpenTelemetry's SDK and sends them by OTLP over HTTP. Only `shared.telemetry.spans` imports this.

Of the SDK's own variables those of the exporter, the sampler, the resource and the batches count, such as
OTEL_EXPORTER_OTLP_HEADERS and OTEL_TRACES_SAMPLER.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace import Span as RecordedSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import Scope

from shared.version import VERSION

TIMEOUT_SECONDS = 5.0  # of one sending, repeats included: a server that stops waits for it
MAX_CALLS_PER_STEP = 500
_STATE = ("status", "next_action")  # the columns whose change makes a step worth showing
Value = str | int
_propagator = TraceContextTextMapPropagator()


class _HoldingProcessor(SpanProcessor):
    """Sends a span at its end, or leaves it to the step that it belongs to."""

    def __init__(self, sender: BatchSpanProcessor) -> None:
        self._sender = sender

    def on_end(self, span: ReadableSpan) -> None:
        if (step := _step.get()) is None:
            self._sender.on_end(span)
        else:
            step.hold(span)


class Exporter:
    """The spans of this process."""

    def __init__(self, server: str, endpoint: str) -> None:
        self._sender = BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces", timeout=TIMEOUT_SECONDS))
        resource = Resource.create({"service.name": f"tunery-{server}", "service.version": VERSION})
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(_HoldingProcessor(self._sender))
        self._tracer = provider.get_tracer("tunery", VERSION)

    def stop(self) -> None:
        sender: Any = self._sender  # whose method has no types
        sender.shutdown()

    @contextmanager
    def request(self, scope: Scope) -> Iterator[None]:
        given = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"}
        span = self._tracer.start_span("request", _propagator.extract(given, Context()), SpanKind.SERVER)
        token = context.attach(trace.set_span_in_context(span, Context()))
        try:
            yield
        finally:
            context.detach(token)
            span.end()

    @contextmanager
    def step(self, table: str) -> Iterator[None]:
        token = _step.set(step := _Step(table))
        try:
            yield
        finally:
            _step.reset(token)
            step.end(self._sender)

    def claimed(self, row: object) -> None:
        if (step := _step.get()) is not None:
            step.begin(self._tracer, row)

    def compare(self, row: object) -> None:
        if (step := _step.get()) is not None:
            step.compare(row)

    @contextmanager
    def call(self, name: str, attributes: Mapping[str, Value]) -> Iterator[None]:
        """It is not the present span while it lasts: a generator that calls may be left, and closed elsewhere."""
        span = self._tracer.start_span(name, kind=SpanKind.CLIENT)
        try:
            yield
        except Exception as error:
            _fail(span, type(error).__name__)
            raise
        finally:
            span.set_attributes(attributes)
            span.end()

    def describe(self, attributes: Mapping[str, Value], name: str | None, error: str | None) -> None:
        span = trace.get_current_span()
        span.set_attributes(attributes)
        if name is not None:
            span.update_name(name)
        if error is not None:
            _fail(span, error)

    def traceparent(self) -> str | None:
        """Whoever is given it goes on from the present span, which is therefore sent."""
        if (step := _step.get()) is not None:
            step.is_worth_showing = True
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        return carrier.get("traceparent")

    def ids(self) -> dict[str, str]:
        present = trace.get_current_span().get_span_context()
        if not present.is_valid:
            return {}
        return {"trace_id": f"{present.trace_id:032x}", "span_id": f"{present.span_id:016x}"}


def _fail(span: Span, error: str) -> None:
    span.set_attribute("error.type", error)
    span.set_status(StatusCode.ERROR)


class _Step:
    """The spans of one step, sent if it has failed, if the row's state is another one afterwards, or if something goes
    on from it: of thousands of polls that find nothing, a job's trace shows none."""

    def __init__(self, table: str) -> None:
        self._table, self._began = table, time.time_ns()
        self._held: list[ReadableSpan] = []
        self._span: Span | None = None
        self._token: Token[Context] | None = None
        self._before: object = None
        self.is_worth_showing = False

    def hold(self, span: ReadableSpan) -> None:
        if len(self._held) < MAX_CALLS_PER_STEP:
            self._held.append(span)

    def begin(self, tracer: trace.Tracer, row: object) -> None:
        """It goes on from what has made the row."""
        given = getattr(row, "traceparent", None)
        parent = _propagator.extract({"traceparent": given} if given else {}, Context())
        action = getattr(row, "next_action", None)
        name = f"{self._table} {action}" if action else self._table
        ids = {"tunery.row": getattr(row, "id", ""), "tunery.project_id": getattr(row, "project_id", None) or ""}
        self._span = tracer.start_span(name, parent, SpanKind.CONSUMER, ids, start_time=self._began)
        self._token = context.attach(trace.set_span_in_context(self._span, Context()))
        self._before = _state(row)

    def compare(self, row: object) -> None:
        if _state(row) != self._before:
            self.is_worth_showing = True

    def end(self, sender: BatchSpanProcessor) -> None:
        if self._span is None or self._token is None:
            return
        context.detach(self._token)
        if self.is_worth_showing or _has_failed(self._span):
            self._span.end()
            for span in self._held:
                sender.on_end(span)


_step: ContextVar[_Step | None] = ContextVar("step", default=None)


def _has_failed(span: Span) -> bool:
    return isinstance(span, RecordedSpan) and span.status.status_code is StatusCode.ERROR


def _state(row: object) -> object:
    return [getattr(row, name, None) for name in _STATE]
