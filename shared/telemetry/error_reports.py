"""Reports to Sentry each unexpected error that is logged, if a DSN is set. Without one, nothing of Sentry is loaded.

The log is the one place through which all of them come, those of libraries too, so none of Sentry's own hooks into
FastAPI, Celery or `logging` is used: they would report some twice, and take along requests and variables.
"""

from typing import TYPE_CHECKING

from structlog.typing import EventDict, WrappedLogger

from shared.settings import get_settings

if TYPE_CHECKING:
    from shared.telemetry.sentry import Reporter

_UNEXPECTED = {"error", "critical"}
_reporter: "Reporter | None" = None


def start(server: str) -> None:
    """Begin to report, in each process: what sends is a thread."""
    global _reporter
    if (dsn := get_settings().sentry_dsn) is not None:
        from shared.telemetry.sentry import Reporter

        _reporter = Reporter(server, dsn.get_secret_value())


def stop() -> None:
    """Send what is left, before a process ends that does not run to its end, as by a signal."""
    global _reporter
    if _reporter is not None:
        _reporter.stop()
        _reporter = None


def report(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Report what a line of the log tells, if it has an error with its traceback."""
    if _reporter is not None and event.get("exc_info") and event.get("level") in _UNEXPECTED:
        _reporter.report(event)
    return event
