"""Sets up logging for every process: structured lines with the ids of the request, project, job and task."""

import logging
import sys
import threading
from types import TracebackType
from typing import NoReturn

import structlog
from structlog.typing import EventDict, WrappedLogger

from shared.settings import get_settings
from shared.telemetry import error_reports, spans
from shared.telemetry.masking import masked

# These loggers write a line for every request or message below WARNING.
_CHATTY_LOGGERS = (
    "alembic",
    "amqp",
    "celery.app.trace",
    "celery.worker.strategy",
    "httpcore2",
    "httpx2",
    "kombu",
    "openai",
)
_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    spans.add_ids,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    error_reports.report,
    structlog.processors.format_exc_info,
]


def without_secrets(render: structlog.typing.Processor) -> structlog.typing.Processor:
    """Mask secrets in the rendered line, so that none is missed in a nested value, an exception or a library's text."""

    def rendered(logger: WrappedLogger, name: str, event: EventDict) -> str:
        return masked(str(render(logger, name, event)))

    return rendered


def set_up_logging() -> None:
    """Write structlog's and the standard library's records to stderr, in the configured format and level.

    Warnings and uncaught exceptions are records too, so that in JSON every line of the log is JSON.
    """
    settings = get_settings()
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_handler()]
    root.setLevel(settings.log_level.upper())
    for name in _CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda thrown: _log_uncaught(
        thrown.exc_type, thrown.exc_value or thrown.exc_type(), thrown.exc_traceback
    )


def _handler() -> logging.Handler:
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer(ensure_ascii=False)
    if get_settings().log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, without_secrets(renderer)],
        )
    )
    return handler


def handler_of_uvicorn() -> logging.Handler:
    """Set logging up before uvicorn writes its first line; cli/uvicorn-log.json names this function."""
    set_up_logging()
    return logging.getLogger().handlers[0]


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger(__name__).critical("the process ends: an error was not caught", exc_info=(kind, error, trace))


def stop_with(sentence: str) -> NoReturn:
    """Log why the process cannot go on, and end it with code 1."""
    logging.getLogger(__name__).critical(sentence)
    sys.exit(1)
