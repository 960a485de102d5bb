"""Creates, changes and archives projects, and creates API keys and the deployment's own credential."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import Function, func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from shared.db.claims import make_due
from shared.db.quotas import count_up_to, one_at_a_time
from shared.db.row_security import across_projects
from shared.db.times import utc_now
from shared.errors import Invalid, NotFound, QuotaExceeded
from shared.projects.models import ApiKey, Credential, Organization, Project
from shared.projects.quotas import quotas_in_force
from shared.projects.secret_format import ADMIN_PREFIX, PROJECT_PREFIX, hint_of, new_secret, sha256
from shared.settings import get_settings

MAX_NAME_CHARACTERS = 64


def the_organization(session: Session) -> Organization:
    """Return the deployment's only organization, which the first migration inserts."""
    return session.exec(select(Organization)).one()


def create_project(session: Session, name: str) -> Project:
    project = Project(organization_id=the_organization(session).id, name=_name(name))
    session.add(project)
    session.flush()
    return project


def _name(given: str) -> str:
    name = given.strip()
    if not 0 < len(name) <= MAX_NAME_CHARACTERS:
        raise Invalid(f"A project's name must have 1 to {MAX_NAME_CHARACTERS} characters", param="name")
    return name


def update_project(
    session: Session,
    project_id: str,
    *,
    name: str | None = None,
    weight: float | None = None,
    max_active_jobs: int | None = None,
    deploy_on_success: bool | None = None,
    default_provider: str | None = None,
    quotas: Mapping[str, int | None] | None = None,
) -> Project:
    """Change what is not None; `max_active_jobs` 0, no `default_provider` and a quota of None restore the default.

    Raises `NotFound` and `Invalid`.
    """
    project = get_active_project(session, project_id)
    if name is not None:
        project.name = _name(name)
    if weight is not None:
        if not 0.001 <= weight <= 1000:
            raise Invalid("A project's weight must be from 0.001 to 1000", param="weight")
        project.weight = weight
    if deploy_on_success is not None:
        project.deploy_on_success = deploy_on_success
    if default_provider is not None:
        project.default_provider = _provider(session, project_id, default_provider)
    if max_active_jobs is not None:
        if not 0 <= max_active_jobs < 2**31:
            raise Invalid("max_active_jobs must be 1 or more, or 0 to restore the default", param="max_active_jobs")
        project.max_active_jobs = max_active_jobs or None
    if quotas is not None:
        session.refresh(project, ["quotas"], with_for_update=True)  # two operators may each set another one
        project.quotas = {name: most for name, most in {**project.quotas, **quotas}.items() if most is not None}
    session.add(project)
    return project


def _provider(session: Session, project_id: str, given: str) -> str | None:
    """Raises `Invalid` if the project has no account there."""
    if not given:
        return None
    own = select(Credential.provider).where(Credential.project_id == project_id, col(Credential.deleted_at).is_(None))
    known = {*session.exec(own)} or {get_settings().provider.name}
    if given not in known:
        sentence = f"The project has no account at {given}, only at {', '.join(sorted(known))}"
        raise Invalid(sentence, param="default_provider")
    return given


def create_api_key(
    session: Session,
    project_id: str | None,
    name: str,
    *,
    expires_at: datetime | None = None,
    scopes: Collection[str] = (),
    allowed_networks: Collection[str] = (),
    service_account_id: str | None = None,
) -> tuple[ApiKey, str]:
    """Create a key and return it with its secret, which cannot be read again. With `project_id` None, an admin key.

    Empty `scopes` mean everything that this kind of key may do, empty `allowed_networks` from everywhere. Raises
    `Invalid` if `expires_at` has passed; the project is notified a week before it.
    """
    if expires_at is not None and expires_at <= utc_now():
        raise Invalid("The key's expiry must be in the future", param="expires_at")
    if project_id is not None:
        _check_quota(session, project_id)
    secret = new_secret(ADMIN_PREFIX if project_id is None else PROJECT_PREFIX)
    key = ApiKey(
        project_id=project_id,
        service_account_id=service_account_id,
        name=name,
        secret_sha256=sha256(secret),
        hint=hint_of(secret),
        expires_at=expires_at,
        scopes=sorted(set(scopes)),
        allowed_networks=sorted(set(allowed_networks)),
    )
    session.add(key)
    return key, secret


def _check_quota(session: Session, project_id: str) -> None:
    limit = quotas_in_force(session, project_id).api_keys
    if limit is not None:
        one_at_a_time(session, "api_keys", project_id)
        if (used := count_up_to(session, keys_of(project_id), limit)) >= limit:
            raise QuotaExceeded("api_keys", used, limit, "revoke keys that are no longer needed")


def keys_of(project_id: str) -> SelectOfScalar[str]:
    """Return a query for the ids of the keys that are not revoked."""
    return select(ApiKey.id).where(ApiKey.project_id == project_id, col(ApiKey.revoked_at).is_(None))


def max_kept_answers(session: Session, project_id: str) -> int | None:
    """The quota of idempotency keys, of which each keeps an answer."""
    return quotas_in_force(session, project_id).idempotency_keys


def list_projects(session: Session, *, after: str | None, limit: int, include_archived: bool = False) -> list[Project]:
    """Return up to `limit` + 1 projects, newest first. Raises `NotFound` for an unknown `after`."""
    query = select(Project).order_by(col(Project.id).desc()).limit(limit + 1)
    if not include_archived:
        query = query.where(col(Project.archived_at).is_(None))
    if after is not None:
        query = query.where(Project.id < get_project(session, after, param="after").id)
    return list(session.exec(query))


def get_project(session: Session, project_id: str, *, param: str = "project_id", refresh: bool = False) -> Project:
    """Return a project; with `refresh`, as it is now in the database. Raises `NotFound`."""
    project = session.get(Project, project_id, populate_existing=refresh)
    if project is None:
        raise NotFound(f"No such project: {project_id}", param=param)
    return project


def get_active_project(session: Session, project_id: str) -> Project:
    """Return a project that is not archived and cannot be archived until this transaction ends.

    Call it before locking any row, or it may deadlock with `archive_project`. Raises `NotFound` and `Invalid`.
    """
    session.exec(select(func.pg_advisory_xact_lock_shared(_archive_lock(project_id))))
    project = get_project(session, project_id, refresh=True)
    if project.archived_at is not None:
        raise Invalid(f"{project_id} is archived: it can no longer be used or changed", code="project_archived")
    return project


def hold_active(session: Session, project_id: str) -> bool:
    """As `get_active_project`, for a transaction that has locked rows: it never waits.

    False if the project is archived, or is about to be.
    """
    lock = func.pg_try_advisory_xact_lock_shared(_archive_lock(project_id))
    return session.scalars(select(lock)).one() and get_project(session, project_id, refresh=True).archived_at is None


def archive_project(session: Session, project_id: str) -> Project:
    """Archive a project for good: its keys are refused from now on. Waits for transactions that work in it.

    Archiving it again keeps the first time. Raises `NotFound`.
    """
    session.exec(select(func.pg_advisory_xact_lock(_archive_lock(project_id))))
    project = get_project(session, project_id, refresh=True)
    project.archived_at = project.archived_at or utc_now()
    return project


def _archive_lock(project_id: str) -> Function[int]:
    """The key of an advisory lock, used instead of the project's row lock: every insert of a row with this project_id
    locks the project's row too, in any order, and changing the project must not wait for those."""
    return func.hashtextextended(f"archive {project_id}", 0)


def default_credential(session: Session) -> Credential:
    """Return the row of the account in the settings; it is inserted when first needed."""
    provider = get_settings().provider
    has_no_project = col(Credential.project_id).is_(None)
    query = select(Credential).where(Credential.base_url == provider.base_url, has_no_project)
    credential = session.exec(query).one_or_none()
    if credential is None:
        new = Credential(provider=provider.name, base_url=provider.base_url, dialect=provider.dialect)
        with across_projects(session):
            session.exec(insert(Credential).values(**new.model_dump()).on_conflict_do_nothing())
            credential = session.exec(query).one()
            make_due(session, credential)
    return credential
