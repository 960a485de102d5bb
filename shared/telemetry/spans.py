"""Notes what a trace shows, if a collector is named. Without one, nothing of OpenTelemetry is loaded, nothing is noted.

One trace goes from the request that makes a row over the row's steps to the webhooks about it, though they are hours
apart: each such row keeps the `traceparent` under which it was made, and its steps go on from there. Attributes are
ids, routes, statuses and types of errors; never a text that somebody has given, such as the message of an error.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from starlette.types import Scope
from structlog.typing import EventDict, WrappedLogger

from shared.settings import get_settings

if TYPE_CHECKING:
    from shared.telemetry.export import Exporter

Value = str | int
_exporter: "Exporter | None" = None


def is_on() -> bool:
    return _exporter is not None


def load() -> None:
    """Import OpenTelemetry if it is needed, so that children of this process share it."""
    if get_settings().otel_exporter_otlp_endpoint is not None:
        import shared.telemetry.export  # noqa: F401  17 MB and a second, which servers without a collector are spared


def start(server: str) -> None:
    """Begin to send spans, in each process that makes some: what sends them is a thread."""
    global _exporter
    if (endpoint := get_settings().otel_exporter_otlp_endpoint) is not None:
        from shared.telemetry.export import Exporter

        _exporter = Exporter(server, endpoint)


def stop() -> None:
    """Send what is left."""
    global _exporter
    if _exporter is not None:
        _exporter.stop()
        _exporter = None


def request(scope: Scope) -> AbstractContextManager[None]:
    """The span of a request; it goes on with the trace of the caller that sends `traceparent`."""
    return nullcontext() if _exporter is None else _exporter.request(scope)


def step(table: str) -> AbstractContextManager[None]:
    """Around a row's step, whose span begins with `claimed`."""
    return nullcontext() if _exporter is None else _exporter.step(table)


def claimed(row: object) -> None:
    """Begin the span of the step that has claimed this row."""
    if _exporter is not None:
        _exporter.claimed(row)


def compare(row: object) -> None:
    """Look at the row as the step leaves it: a step that leaves all as it was is not shown."""
    if _exporter is not None:
        _exporter.compare(row)


@contextmanager
def call(name: str) -> Iterator[dict[str, Value]]:
    """The span of a call that goes out. It gets the attributes that are in the dictionary when it ends."""
    attributes: dict[str, Value] = {}
    with nullcontext() if _exporter is None else _exporter.call(name, attributes):
        yield attributes


def describe(attributes: Mapping[str, Value], *, name: str | None = None, error: str | None = None) -> None:
    """Add to the present span. `error`, a type or a code, makes it one that has failed."""
    if _exporter is not None:
        _exporter.describe(attributes, name, error)


def traceparent() -> str | None:
    """The present span, as rows and headers name it; None if there is none."""
    return _exporter.traceparent() if _exporter is not None else None


def headers() -> dict[str, str]:
    return {"traceparent": given} if (given := traceparent()) is not None else {}


def add_ids(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Give a line of the log the ids of its trace and span."""
    if _exporter is not None:
        event.update(_exporter.ids())
    return event
