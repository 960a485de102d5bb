"""The settings of the sandbox, each a command line flag and a `SANDBOX_*` environment variable."""

import argparse
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

MEGABYTE = 1024 * 1024
MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Settings:
    """Each field is `--name-with-hyphens` and `SANDBOX_NAME_WITH_UNDERSCORES`; the flag wins."""

    host: str = "127.0.0.1"
    port: int = 8790
    """0 takes a free port, which the first log line names."""
    api_key: str = "sk-sandbox"
    """The only key that is accepted."""
    speed: float = 1.0
    """How many times faster than OpenAI jobs run. At 0 a job stands still until `POST /sandbox/jobs/{id}` moves it."""
    max_active_jobs_per_model: int = 3
    max_jobs_per_day: int = 100
    """Per base model, in any 24 hours, as OpenAI counts."""
    organization: str = "sandbox"
    """The organization in the names of tuned models; its id is `org-` and this."""
    max_file_bytes: int = 512 * MEGABYTE
    max_part_bytes: int = 64 * MEGABYTE
    upload_lifetime: int = 3600
    """Seconds until an upload that was not completed expires."""
    folder: str = ""
    """Where files, jobs and models are kept over a restart. Empty: nowhere; they are gone when the process ends."""

    @property
    def organization_id(self) -> str:
        return f"org-{self.organization}"


def read(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the command line, else from the environment, else the defaults of `Settings`."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="A stand-in for OpenAI's API, for trials and tests."
    )
    for field in fields(Settings):
        kind = type(field.default)
        parser.add_argument(
            "--" + field.name.replace("_", "-"),
            type=kind,
            help=f"also SANDBOX_{field.name.upper()}",
            default=environment.get(f"SANDBOX_{field.name.upper()}", field.default),
        )
    settings = Settings(**vars(parser.parse_args(arguments)))
    for field in fields(Settings):
        value = getattr(settings, field.name)
        if isinstance(value, int | float) and not 0 <= value < math.inf:
            parser.error(f"--{field.name.replace('_', '-')} (SANDBOX_{field.name.upper()}) must be a number from 0 on")
    if settings.port > MAX_PORT:
        parser.error(f"--port (SANDBOX_PORT) must be from 0 to {MAX_PORT}")
    return settings
