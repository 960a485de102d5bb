"""Sends errors with Sentry's SDK. Only `shared.telemetry.error_reports` imports this."""

import re
import sys
from types import TracebackType
from typing import Any

import sentry_sdk
import structlog
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.transport import HttpTransport
from sentry_sdk.types import Event, Hint
from sentry_sdk.utils import capture_internal_exceptions, event_from_exception
from structlog.typing import EventDict

from shared.telemetry.masking import masked
from shared.version import VERSION

TAGS = ("request_id", "project_id", "key_id", "credential_id", "task", "task_id", "row", "job_id", "trace_id")
OURS = ["api", "cli", "shared", "worker"]
MAX_TEXT = 4000  # characters of a message; PostgreSQL's repeat the statement
# Where a message repeats what somebody has given: PostgreSQL's «Failing row contains (…)», and pydantic's input.
_ROW = re.compile(r"\n(?:DETAIL|CONTEXT): (?:.*(?=\n\[SQL: )|.*)", re.DOTALL)
_INPUT = re.compile(r"(?<=input_value=).*?(?=, input_type=)", re.DOTALL)
log = structlog.get_logger(__name__)


class _Transport(HttpTransport):
    TIMEOUT = 5

    def on_dropped_event(self, reason: str) -> None:
        log.warning("an error could not be reported to Sentry", reason=reason)


class Reporter:
    """Sentry's client of this process."""

    def __init__(self, server: str, dsn: str) -> None:
        sentry_sdk.init(
            dsn=dsn,
            release=f"tunery@{VERSION}",
            transport=_Transport,
            default_integrations=False,
            auto_enabling_integrations=False,
            integrations=[DedupeIntegration(), AtexitIntegration(callback=lambda *_: None)],
            include_local_variables=False,
            max_request_body_size="never",
            send_default_pii=False,
            send_client_reports=False,
            max_breadcrumbs=0,
            max_value_length=MAX_TEXT,
            in_app_include=OURS,
            before_send=_without_secrets,
            spotlight=False,
            debug=False,
        )
        sentry_sdk.get_global_scope().set_tag("server", server)

    def stop(self) -> None:
        sentry_sdk.get_client().close()

    def report(self, line: EventDict) -> None:
        """Report the error of a line of the log, under its sentence and its ids."""
        if (error := _error_of(line)) is None or str(line.get("logger")).startswith("sentry_sdk"):
            return
        with capture_internal_exceptions():
            mechanism = {"type": "logging", "handled": True}
            event, hint = event_from_exception(error, sentry_sdk.get_client().options, mechanism)
            event["level"] = "fatal" if line["level"] == "critical" else "error"
            event["logger"] = str(line.get("logger"))
            # A library's sentence without its arguments, such as Celery's, which repeats the error.
            event["logentry"] = {"message": str(line["_record"].msg if "_record" in line else line["event"])}
            event["tags"] = {name: str(line[name]) for name in TAGS if line.get(name)}
            if "trace_id" in line:
                event["contexts"] = {"trace": {name: line[name] for name in ("trace_id", "span_id")}}
            sentry_sdk.capture_event(event, hint)


ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def _error_of(line: EventDict) -> ExcInfo | None:
    given: Any = line["exc_info"]
    if isinstance(given, BaseException):
        return type(given), given, given.__traceback__
    found = given if isinstance(given, tuple) else sys.exc_info()
    return found if found[0] is not None else None


def _without_secrets(event: Event, _: Hint) -> Event:
    cleaned: Event = _cleaned(event)
    for error in cleaned["exception"]["values"]:
        error["value"] = _INPUT.sub("…", _ROW.sub("", error.get("value") or ""))
    return cleaned


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {masked(str(key)): _cleaned(each) for key, each in value.items()}
    return [_cleaned(each) for each in value] if isinstance(value, list | tuple) else value
