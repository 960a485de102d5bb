"""Which jobs are compared: those that the address names, at most eight, and those that could be added."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import Depends, Query
from pydantic import BeforeValidator, Field
from sqlmodel import Session, col

from shared.db.owned import list_owned
from shared.errors import Invalid, NotFound
from shared.jobs.models import Job
from shared.jobs.schemas import JobPublic

MOST_JOBS = 8
OFFERED = 50
LETTERS = "ABCDEFGH"
Kind = Literal["train", "valid", "full_valid"]
KINDS: dict[Kind, str] = {"train": "Training", "valid": "Validation", "full_valid": "Full validation"}
SHOWN_FIRST: list[Kind] = ["train", "valid"]
_Whole = Annotated[int, Field(ge=0, le=2**31 - 1)]
# A field of a form that was left empty is sent, as nothing.
_Step = Annotated[_Whole | None, BeforeValidator(lambda sent: sent or None), Query()]


@dataclass(frozen=True)
class Wanted:
    """What an address asks for. It has all that is needed to show the same again."""

    ids: list[str]
    kinds: list[Kind]
    step: int | None
    log: bool
    smooth: float

    def address(self, ids: Sequence[str]) -> str:
        """Return the query string of the same comparison, of these jobs."""
        pairs: list[tuple[str, str]] = [("job", id) for id in ids]
        pairs += [("curve", kind) for kind in self.kinds if self.kinds != SHOWN_FIRST]
        pairs += [("step", str(self.step))] if self.step is not None else []
        pairs += [("log", "1")] if self.log else []
        return urlencode([*pairs, ("smooth", str(self.smooth))] if self.smooth else pairs)


def wanted(
    job: Annotated[list[Annotated[str, Query(max_length=64)]], Query(default_factory=list)],
    curve: Annotated[list[Kind], Query(default_factory=list)],
    step: _Step = None,
    log: Annotated[bool, Query()] = False,
    smooth: Annotated[float, Query(ge=0, lt=1)] = 0.0,
) -> Wanted:
    """Return what the address asks for: each job once, in its order."""
    ids = list(dict.fromkeys(each.strip() for each in job if each.strip()))
    return Wanted(ids, [each for each in KINDS if each in curve] or SHOWN_FIRST, step, log, smooth)


WantedDep = Annotated[Wanted, Depends(wanted)]


@dataclass(frozen=True)
class Column:
    """A job in its place."""

    letter: str
    job: JobPublic

    @property
    def name(self) -> str:
        return self.job.user_provided_suffix or self.job.id


@dataclass(frozen=True)
class Selection:
    """The jobs that were found, and what is wrong with the others: nothing, or a sentence and its status."""

    columns: list[Column]
    problem: str | None = None
    status: int = 200

    @property
    def ids(self) -> list[str]:
        return [each.job.id for each in self.columns]

    @property
    def is_final(self) -> bool:
        return all(each.job.status.is_final for each in self.columns)


def select(session: Session, project_id: str, ids: list[str]) -> Selection:
    """Find the jobs. Another project's job is not found, in the same words as one that never existed."""
    first = ids[:MOST_JOBS]
    rows = list_owned(session, Job, project_id, col(Job.id).in_(first), after=None, limit=MOST_JOBS) if first else []
    by_id = {row.id: JobPublic.of(row) for row in rows}
    found = [by_id[id] for id in first if id in by_id]
    columns = [Column(letter, job) for letter, job in zip(LETTERS, found, strict=False)]
    if unknown := [id for id in first if id not in by_id]:
        return Selection(columns, f"No such {Job.called}: {', '.join(unknown)}", 404)
    if len(ids) > MOST_JOBS:
        left_out = f"these are the first, without {', '.join(ids[MOST_JOBS : 2 * MOST_JOBS])}"
        return Selection(columns, f"At most {MOST_JOBS} jobs can be compared: {left_out}", 400)
    return Selection(columns)


def select_all(session: Session, project_id: str, ids: list[str]) -> Selection:
    """Find the jobs, all of them. Raises `NotFound` and `Invalid`."""
    found = select(session, project_id, ids)
    if found.status == 404:
        raise NotFound(found.problem or "", param="job")
    if found.problem:
        raise Invalid(found.problem, param="job")
    return found


def offered(session: Session, project_id: str, chosen: Selection) -> list[JobPublic]:
    """Return the newest other jobs, those with the same training file first."""
    rows = list_owned(session, Job, project_id, col(Job.id).not_in(chosen.ids), after=None, limit=OFFERED)[:OFFERED]
    files = {each.job.training_file for each in chosen.columns}
    return [JobPublic.of(row) for row in sorted(rows, key=lambda row: row.training_file not in files)]
