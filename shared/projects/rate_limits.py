"""Rate limits of projects and of their API keys; a project without its own limit has the one in the settings."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict
from pydantic import Field as Bound
from sqlalchemy import BigInteger
from sqlmodel import Field, Session, col, select

from shared.db.pages import Listed
from shared.db.tables import Owned
from shared.errors import Invalid, NotFound
from shared.projects import service as projects
from shared.projects.models import ApiKey, Project
from shared.settings import get_settings

NO_LIMIT = 2**31 - 1  # shown where OpenAI's type requires a number but there is no limit
ANY_MODEL = "*"
PROJECT_ONLY_FIELDS = ("max_jobs_per_1_day", "max_open_jobs")


class RateLimit(Owned, table=True):
    """Limits that an admin has set. The id is `rl-` and the id of the project or key, so each has at most one row."""

    __tablename__ = "rate_limits"
    id_prefix: ClassVar[str] = "rl-"
    called: ClassVar[str] = "rate limit"

    project_id: str = Field(foreign_key="projects.id", index=True)
    api_key_id: str | None = Field(default=None, foreign_key="api_keys.id")
    max_requests_per_1_minute: int | None = Field(default=None, sa_type=BigInteger)
    max_bytes_per_1_minute: int | None = Field(default=None, sa_type=BigInteger)
    max_jobs_per_1_day: int | None = Field(default=None, sa_type=BigInteger)
    max_open_jobs: int | None = Field(default=None, sa_type=BigInteger)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits in force for a project or a key; None means unlimited."""

    requests_per_minute: int | None
    bytes_per_minute: int | None
    jobs_per_day: int | None
    open_jobs: int | None


Count = Annotated[int | None, Bound(ge=0, le=10**15)]


class RateLimitUpdate(BaseModel):
    """The limits to change: null restores the default of the settings, 0 lets nothing through."""

    model_config = ConfigDict(extra="forbid")

    max_requests_per_1_minute: Count = None
    max_bytes_per_1_minute: Count = None
    max_jobs_per_1_day: Count = None
    max_open_jobs: Count = None


class RateLimitPublic(Listed):
    """OpenAI's rate limit object, of a project or, with `api_key_id`, of one of its keys. A request counts for both.

    Limits are for all models together, and tokens are not limited; 2147483647 stands for no limit where OpenAI's type
    requires a number. `max_bytes_per_1_minute` counts request bodies; `max_open_jobs` jobs that have not ended.
    """

    object: Literal["project.rate_limit"] = "project.rate_limit"
    model: str = ANY_MODEL
    max_requests_per_1_minute: int
    max_tokens_per_1_minute: int = NO_LIMIT
    api_key_id: str | None
    max_bytes_per_1_minute: int | None
    max_jobs_per_1_day: int | None
    max_open_jobs: int | None

    @classmethod
    def of(cls, row: RateLimit) -> "RateLimitPublic":
        limits = limits_of(row)
        requests = NO_LIMIT if limits.requests_per_minute is None else limits.requests_per_minute
        return cls(
            id=row.id,
            api_key_id=row.api_key_id,
            max_requests_per_1_minute=requests,
            max_bytes_per_1_minute=limits.bytes_per_minute,
            max_jobs_per_1_day=limits.jobs_per_day,
            max_open_jobs=limits.open_jobs,
        )


def limits_of(row: RateLimit) -> Limits:
    """Return the row's limits, for a project completed by the defaults of the settings; a key has no defaults."""
    own = (row.max_requests_per_1_minute, row.max_bytes_per_1_minute, row.max_jobs_per_1_day, row.max_open_jobs)
    if row.api_key_id is not None:
        return Limits(*own)
    default = get_settings().rate_limits
    general = (default.requests_per_minute, default.bytes_per_minute, default.jobs_per_day, default.open_jobs)
    return Limits(*(mine if mine is not None else all_ for mine, all_ in zip(own, general, strict=True)))


def _unset(project_id: str, api_key_id: str | None = None) -> RateLimit:
    return RateLimit(id=RateLimit.id_prefix + (api_key_id or project_id), project_id=project_id, api_key_id=api_key_id)


def in_force(session: Session, project_id: str, key_id: str) -> dict[str, Limits]:
    """Return the limits of a key and of its project, by their ids; the key's first, so that it is checked first."""
    either = [_unset(project_id, key_id), _unset(project_id)]
    found = select(RateLimit).where(RateLimit.project_id == project_id, col(RateLimit.id).in_([r.id for r in either]))
    rows = {row.id: row for row in session.exec(found)}
    return {row.api_key_id or project_id: limits_of(rows.get(row.id, row)) for row in either}


def of_project(session: Session, project_id: str) -> Limits:
    unset = _unset(project_id)
    query = select(RateLimit).where(RateLimit.id == unset.id, RateLimit.project_id == project_id)
    return limits_of(session.exec(query).one_or_none() or unset)


def list_rate_limits(session: Session, project_id: str) -> list[RateLimit]:
    """Return the row of the project, then those of its keys that are not revoked, oldest first. Raises `NotFound`."""
    projects.get_project(session, project_id)
    rows = {row.id: row for row in session.exec(select(RateLimit).where(RateLimit.project_id == project_id))}
    keys = select(ApiKey.id).where(ApiKey.project_id == project_id, col(ApiKey.revoked_at).is_(None))
    all_ = [_unset(project_id)] + [_unset(project_id, id) for id in session.exec(keys.order_by(ApiKey.id))]
    return [rows.get(row.id, row) for row in all_]


def update_rate_limit(session: Session, project_id: str, rate_limit_id: str, new: RateLimitUpdate) -> RateLimit:
    """Change the given fields, within five seconds for every process. Raises `NotFound` and `Invalid`."""
    projects.get_active_project(session, project_id)
    session.exec(select(Project.id).where(Project.id == project_id).with_for_update(key_share=True)).one_or_none()
    row = next((row for row in list_rate_limits(session, project_id) if row.id == rate_limit_id), None)
    if row is None:
        raise NotFound(f"No such rate limit: {rate_limit_id}", param="rate_limit_id")
    for field in sorted(new.model_fields_set):
        if row.api_key_id is not None and field in PROJECT_ONLY_FIELDS:
            raise Invalid(f"{field} can be set only for a whole project: use rl-{project_id}", param=field)
        setattr(row, field, getattr(new, field))
    session.add(row)
    session.flush()
    return row
