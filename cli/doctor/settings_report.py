"""Each setting with its value and where it was found; secrets are masked."""

import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from cli.doctor.result import Result, fail, ok, warn
from cli.running_up import Filled
from shared.setting_problems import PREFIX, WrongSettings, variables
from shared.settings import Settings, get_settings

MASK = "…"
SECRET_OF_AWS = re.compile(r"AWS_\w*(SECRET|TOKEN)\w*")
PASSWORD = re.compile(r"(?<=://)([^/\s@]*):[^/\s]*(?=@)")

OF_UP = " Or start ./tunery up: while it runs, its settings are taken."


class Shown(NamedTuple):
    """`source` is `environment`, `secret file`, `default`, or where `Filled` says."""

    name: str
    value: str
    source: str


def table(filled: Filled) -> list[Shown]:
    """All settings, and the bucket's AWS variables that are set. What is refused is shown as it is not: masked."""
    settings = _settings()
    rows = [
        Shown(name, _value(settings, name, field), _source(name, filled)) for name, field in variables(Settings).items()
    ]
    names = sorted(name for name in os.environ if name.startswith("AWS_"))
    masked = {name: MASK if SECRET_OF_AWS.fullmatch(name) else os.environ[name] for name in names}
    return rows + [Shown(name, value, _source(name, filled)) for name, value in masked.items()]


def _settings() -> Settings | None:
    try:
        return get_settings()
    except WrongSettings:
        return None


def _source(name: str, filled: Filled) -> str:
    if name in filled.names:
        return filled.source
    if os.environ.get(name):
        return "environment"
    folder = os.environ.get("TUNERY_SECRETS_DIR")
    files = {file.name.upper() for file in Path(folder).iterdir()} if folder and Path(folder).is_dir() else set[str]()
    return "secret file" if name in files else "default"


def _value(settings: Settings | None, name: str, field: FieldInfo) -> str:
    if settings is None:
        return MASK if os.environ.get(name) else ""
    found: Any = settings
    path = name.removeprefix(PREFIX).lower().split("__")
    for part in path:
        found = getattr(found, part)
    return _text(found)


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_text(each)}" for key, each in value.items()) + "}"
    return PASSWORD.sub(rf"\1:{MASK}", str(value))


def check(filled: Filled) -> Iterator[Result]:
    try:
        settings = get_settings()
    except WrongSettings as wrong:
        for problem in wrong.problems:
            yield fail("settings", problem, ".env.example explains each setting." + ("" if filled.source else OF_UP))
        return
    given = [row for row in table(filled) if row.source != "default"]
    yield ok("settings", f"{len(given)} are set, the others have their defaults")
    lease, calls = settings.lease, max(settings.provider.timeout, settings.webhook_timeout)
    if lease <= calls:
        yield warn(
            "settings",
            f"TUNERY_LEASE is {_text(lease)} s, and a single call may take {_text(calls)} s",
            "Raise TUNERY_LEASE above TUNERY_PROVIDER__TIMEOUT and TUNERY_WEBHOOK_TIMEOUT.",
        )
    if settings.create_grace <= settings.provider.timeout:
        yield warn(
            "settings",
            "TUNERY_CREATE_GRACE is not longer than TUNERY_PROVIDER__TIMEOUT",
            "Raise TUNERY_CREATE_GRACE: a job may be created twice otherwise.",
        )
