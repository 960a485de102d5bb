"""One log for every process: a line an event, with the ids of the request, project, job and task at hand."""

import logging
import re
import sys

import structlog
from structlog.typing import EventDict, WrappedLogger

from shared.settings import get_settings

_CHATTY = ("alembic", "amqp", "celery.app.trace", "celery.worker.strategy", "httpcore2", "httpx2", "kombu", "openai")
_SECRET = re.compile(r"(sk-[a-z-]*|whsec_|Bearer\s+)[\w+/=.-]{8,}|(?<=://)[^/\s@\"']*:[^/\s@\"']+(?=@)")


def _hidden(match: re.Match[str]) -> str:
    return (match[1] or "") + "…"


def without_secrets(render: structlog.typing.Processor) -> structlog.typing.Processor:
    """Keys, signing secrets and passwords in addresses never reach the log, whoever wrote them, however deep inside."""

    def rendered(logger: WrappedLogger, name: str, event: EventDict) -> str:
        return _SECRET.sub(_hidden, str(render(logger, name, event)))

    return rendered


def set_up_logging() -> None:
    """Send structlog's and the standard library's lines to stderr, in the format that the settings name."""
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
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
