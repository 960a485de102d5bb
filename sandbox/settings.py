"""What can be set by a flag or a `SANDBOX_*` variable, so that a test can hurry and a demo take its time."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """Each field is `--name-with-hyphens` and `SANDBOX_NAME_WITH_UNDERSCORES`; the flag wins."""

    host: str = "127.0.0.1"
    port: int = 8790
    """0 takes a free port; the line printed at the start names it."""
    api_key: str = "sk-sandbox"
    """The only key that is accepted."""
    speed: float = 1.0
    """How many seconds of a job's life pass in one second. At 0 jobs stand still until `POST /sandbox/jobs/{id}`."""
    max_active_jobs_per_model: int = 3
    max_jobs_per_day: int = 100
    """Per base model, in any 24 hours, as OpenAI counts."""
    organization: str = "sandbox"
    """The slug in the names of tuned models; the organization's id is `org-` and this."""
    max_file_bytes: int = 512 * MEGABYTE
    max_part_bytes: int = 64 * MEGABYTE
    upload_lifetime: int = 3600
    """Seconds until an upload that was not completed expires."""

    @property
    def organization_id(self) -> str:
        return f"org-{self.organization}"


def read(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the command line, else from the environment, else the defaults above."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="A small OpenAI to try and test against.")
    for field in fields(Settings):
        kind = type(field.default)
        parser.add_argument(
            "--" + field.name.replace("_", "-"),
            type=kind,
            default=environment.get(f"SANDBOX_{field.name.upper()}", field.default),
        )
    return Settings(**vars(parser.parse_args(arguments)))
