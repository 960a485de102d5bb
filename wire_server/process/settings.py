"""The settings of every provider, each a command line flag and an environment variable."""

import argparse
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

MEGABYTE = 1024 * 1024
MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Settings:
    """Each field is `--name-with-hyphens` and `PREFIX_NAME_WITH_UNDERSCORES`; the flag wins."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 takes a free port, which the first log line names."""
    api_key: str = ""
    """The only key that is accepted."""
    max_active_jobs_per_model: int = 3
    max_jobs_per_day: int = 100
    """Per base model, in any 24 hours, as OpenAI counts."""
    organization: str = ""
    """The organization in the names of tuned models; its id is `org-` and this."""
    max_file_bytes: int = 512 * MEGABYTE
    max_part_bytes: int = 64 * MEGABYTE
    upload_lifetime: int = 3600
    """Seconds until an upload that was not completed expires."""
    folder: str = ""
    """Where files, jobs and models are kept over a restart."""

    @property
    def organization_id(self) -> str:
        return f"org-{self.organization}"


Kind = TypeVar("Kind", bound=Settings)


def read(
    kind: type[Kind],
    program: str,
    description: str,
    arguments: Sequence[str],
    environment: Mapping[str, str] = os.environ,
) -> Kind:
    """Settings from the command line, else from the environment, else the defaults of `kind`.

    The variables begin with the program's name in capitals.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    for field in fields(kind):
        variable = f"{program.upper()}_{field.name.upper()}"
        parser.add_argument(
            _flag(field.name),
            type=type(field.default),
            help=f"also {variable}" + (f"; {field.default} without either" if field.default != "" else ""),
            default=environment.get(variable, field.default),
        )
    settings = kind(**vars(parser.parse_args(arguments)))
    for field in fields(kind):
        value = getattr(settings, field.name)
        if isinstance(value, int | float) and not 0 <= value < math.inf:
            parser.error(f"{_flag(field.name)} ({program.upper()}_{field.name.upper()}) must be a number from 0 on")
    if settings.port > MAX_PORT:
        parser.error(f"--port ({program.upper()}_PORT) must be from 0 to {MAX_PORT}")
    return settings


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
