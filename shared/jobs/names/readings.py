"""Tells whether a name can lead a provider to a model that a job has made, however the name is written.

Providers read names more loosely than we compare them: in any case, with a prefix for a route, with an encoding undone.
"""

import re
import unicodedata
from collections.abc import Collection
from typing import Any
from urllib.parse import unquote

from sqlalchemy import func
from sqlmodel import Session, col, select

from shared.db.row_security import across_projects
from shared.jobs.models import Checkpoint, Job, TunedModel
from shared.projects import credentials
from shared.projects.models import Credential

_MAX_ENCODINGS = 4  # of one name, each of which somebody on the way may undo
_ORDINARY = re.compile(r"[A-Za-z0-9._:/@+~#=,-]*")
_OF_A_TUNED_MODEL = re.compile(
    r"(?:^|[^a-z0-9])ft(?::|job-|-[0-9a-f]{8}-)"  # OpenAI's names, those with our job's id, ids of jobs at Together
    r"|-[0-9a-hj-km-np-tv-z]{26}(?:-|$)"  # our job's id without its beginning, as in names of Together's
)
_JOINT = re.compile(r"[#@,=]|/versions(?=/|$)")  # where a version, a deployment or another name begins


def is_ordinary(name: str) -> bool:
    """Whether each reader sees the same characters in it. No provider's own names are otherwise."""
    return _ORDINARY.fullmatch(name) is not None


def plain(name: str) -> str:
    """The name in lower case, without encodings, look-alikes that Unicode knows, spaces and invisible characters."""
    if is_ordinary(name):  # has none of these; a grader of 1 MB has 50,000 keys
        return name.lower()
    for _ in range(_MAX_ENCODINGS):
        name = unicodedata.normalize("NFKC", unquote(name))
    return "".join(each for each in name if unicodedata.category(each)[0] not in "CZ").casefold()


def has_form_of_tuned(name: str) -> bool:
    return _OF_A_TUNED_MODEL.search(plain(name)) is not None


def made_by_a_job(session: Session, project_id: str, names: Collection[str]) -> set[str]:
    """Those of `names` that the project's providers may read as a model or a checkpoint of any project's job there.

    Other providers do not count: one that another project has chosen could name its models like everybody's.
    """
    base_urls = {credential.base_url for credential in credentials.usable_by(session, project_id)}
    readings = {name: _readings(name) for name in names}
    wanted = {each for found in readings.values() for each in found}
    model, checkpoint, there = func.lower(TunedModel.name), func.lower(Checkpoint.model), col(Credential.base_url)
    models = select(model).join(Credential, col(Credential.id) == TunedModel.credential_id)
    jobs = select(checkpoint).join(Job, col(Job.id) == Checkpoint.job_id)
    checkpoints = jobs.join(Credential, col(Credential.id) == Job.credential_id)
    with across_projects(session):
        made = {*session.exec(models.where(model.in_(wanted), there.in_(base_urls)))}
        made |= {*session.exec(checkpoints.where(checkpoint.in_(wanted), there.in_(base_urls)))}
    return {name for name, found in readings.items() if found & made}


def in_graders(method: dict[str, Any]) -> list[tuple[str, str]]:
    """The models that the grader of a method names, however deep, with its field: what stands in a field `model`."""
    found: list[tuple[str, str]] = []
    pending: list[Any] = [method]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            named = [text for name, text in each.items() if plain(name) == "model" and isinstance(text, str)]
            found += [("method.reinforcement.grader", text) for text in named]
        pending += each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
    return found


def _readings(name: str) -> set[str]:
    """The name, each part of one that is joined, and what is left of them without the prefixes of a route."""
    readings: set[str] = set()
    for each in (plain(name), *_JOINT.split(plain(name))):
        parts = each.split("/")
        readings |= {each, each.strip("/.:")} | {"/".join(parts[start:]) for start in range(len(parts))}
    return readings - {""}
