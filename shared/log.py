"""Sets up logging for every process: structured lines with the ids of the request, project, job and task."""

import logging
import re
import sys

import structlog
from structlog.typing import EventDict, WrappedLogger

from shared.settings import get_settings

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
# API keys, webhook secrets, bearer tokens, and `user:password` in a URL.
_SECRET = re.compile(r"(sk-[a-z-]*|whsec_|Bearer\s+)[\w+/=.-]{8,}|(?<=://)[^/\s@\"']*:[^/\s@\"']+(?=@)")


def _mask(match: re.Match[str]) -> str:
    return (match[1] or "") + "…"


def without_secrets(render: structlog.typing.Processor) -> structlog.typing.Processor:
    """Mask secrets in the rendered line, so that none is missed in a nested value, an exception or a library's text."""

    def rendered(logger: WrappedLogger, name: str, event: EventDict) -> str:
        return _SECRET.sub(_mask, str(render(logger, name, event)))

    return rendered


def set_up_logging() -> None:
    """Write structlog's and the standard library's records to stderr, in the configured format and level."""
    settings = get_settings()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer(ensure_ascii=False)
    if settings.log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, without_secrets(renderer)],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    for name in _CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
