"""Our mark on a job of Together's: its suffix ends with the end of our job's id, since the wire has no metadata.

All of it, not a few characters: a job that nobody here knows of is adopted or cancelled by it.
"""

import re
from typing import Any

from shared.jobs.models import Job
from worker.providers import sanitize
from worker.providers.protocol import Mark

# A job that is asked for by its id comes without its suffix, but that is in its model's name, before a last part.
_OURS = re.compile(r"(?:^|-)([0-9a-hj-km-np-tv-z]{26})(?:-[0-9a-z]{1,32})?$")


def suffix(job_id: str, asked: str | None) -> str:
    """What the job is created with: the caller's suffix, and our mark."""
    return "-".join(filter(None, (asked, job_id.removeprefix(Job.id_prefix))))


def mark(raw: dict[str, Any]) -> Mark | None:
    found = _OURS.search(_marked(raw))
    return Mark(f"{Job.id_prefix}{found[1]}", None, None) if found else None


def is_for(raw: dict[str, Any], job_id: str) -> bool:
    """Whether the job was created for ours."""
    return f"-{_marked(raw)}-".find(f"-{job_id.removeprefix(Job.id_prefix)}-") >= 0


def _marked(raw: dict[str, Any]) -> str:
    return (sanitize.some_text(raw.get("suffix")) or sanitize.some_text(raw.get("model_output_name")) or "").lower()
