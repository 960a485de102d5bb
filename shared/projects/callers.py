"""Finds the caller behind an API key: a project or an administrator, with the key's scopes."""

from collections.abc import Collection
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case
from sqlmodel import Session, col, not_, or_, select

from shared.db.times import utc_now
from shared.errors import Forbidden, Invalid, NotFound, Unauthorized
from shared.projects.model_permissions import ModelRule, rule_of
from shared.projects.models import ApiKey, Organization, Project
from shared.projects.networks import may_come_from
from shared.projects.scopes import check_scope, has_scope
from shared.projects.secret_format import PREFIXES, is_well_formed, sha256


@dataclass(frozen=True, slots=True)
class AnyCaller:
    """A valid key. Empty `scopes` mean everything that its kind of key may do."""

    organization_id: str
    key_id: str
    scopes: frozenset[str] = field(default=frozenset(), kw_only=True)
    networks: tuple[IPv4Network | IPv6Network, ...] = field(default=(), kw_only=True)

    def check_address(self, address: str) -> None:
        """Raises `Unauthorized` if the key is bound to networks that the address is not in. Does not say to which."""
        if not may_come_from(self.networks, address):
            raise Unauthorized(
                f"This API key may not be used from your address, {address}: ask your operator to permit it",
                code="ip_not_authorized",
            )

    def check(self, scope: str) -> None:
        """Raises `Forbidden` if the key lacks this scope."""
        check_scope(self.scopes, scope)

    def may(self, scope: str) -> bool:
        return has_scope(self.scopes, scope)


@dataclass(frozen=True, slots=True)
class Caller(AnyCaller):
    """A project, through one of its API keys."""

    project_id: str
    model_rule: ModelRule | None = None


@dataclass(frozen=True, slots=True)
class AdminCaller(AnyCaller):
    """An administrator of the deployment, through an admin key."""


def identify(session: Session, secret: str) -> Caller | AdminCaller:
    """Return the caller of a secret. Raises `Unauthorized` with the reason if it is not valid."""
    if secret.startswith(PREFIXES) and not is_well_formed(secret):
        raise Unauthorized("This API key is incomplete or mistyped (its checksum is wrong): copy all of it again")
    query = select(ApiKey, Project).outerjoin(Project, col(ApiKey.project_id) == col(Project.id))
    found = session.exec(query.where(_is_secret_of([sha256(secret)]), col(ApiKey.revoked_at).is_(None))).one_or_none()
    if found is None:
        raise Unauthorized("This API key is unknown: check OPENAI_API_KEY, or ask your operator for a key")
    key, project = found
    if key.expires_at is not None and key.expires_at <= utc_now():
        raise Unauthorized("This API key has expired: ask your operator for a new one", code="api_key_expired")
    rights: dict[str, Any] = {"scopes": frozenset(key.scopes), "networks": tuple(map(ip_network, key.allowed_networks))}
    if project is None:
        return AdminCaller(session.exec(select(Organization.id)).one(), key.id, **rights)
    if project.archived_at is not None:
        raise Unauthorized("The project of this API key is archived: use another project", code="project_archived")
    return Caller(project.organization_id, key.id, project.id, rule_of(project), **rights)


def authenticate(session: Session, secret: str) -> Caller:
    """Return the project of a secret. Raises `Unauthorized`, or `Forbidden` for an admin key."""
    return require_project(identify(session, secret))


def require_project(caller: Caller | AdminCaller) -> Caller:
    """Raises `Forbidden` for an admin key."""
    if isinstance(caller, AdminCaller):
        raise Forbidden("An admin key cannot act for a project: use one of the project's own API keys")
    return caller


def require_admin(caller: Caller | AdminCaller) -> AdminCaller:
    """Raises `Forbidden` for a project's key."""
    if isinstance(caller, Caller):
        raise Forbidden("This needs an admin key (OPENAI_ADMIN_KEY): a project's key cannot manage the organization")
    return caller


WORKS_IN_PROJECTS = "admin:projects:write"  # who has it could create a key of any project


def work_in(session: Session, admin: AdminCaller, project_id: str) -> Caller:
    """Return the caller of a project through an admin key that could create a key of that project.

    Raises `Forbidden` if the admin key could not, `NotFound`, and `Invalid` if the project is archived.
    """
    admin.check(WORKS_IN_PROJECTS)
    project = session.get(Project, project_id)
    if project is None:
        raise NotFound(f"No such project: {project_id}", param="project_id")
    if project.archived_at is not None:
        raise Invalid(f"{project_id} is archived: choose another project", code="project_archived")
    return Caller(project.organization_id, admin.key_id, project.id, rule_of(project), networks=admin.networks)


class Presented(NamedTuple):
    """The secret of an API key, and the address of the client that has sent it.

    `project_id`: the project in which an admin key works; None for a project's own key.
    """

    secret: str
    address: str
    project_id: str | None = None


def still_valid(session: Session, presented: Collection[Presented], scope: str) -> set[Presented]:
    """Return those whose secrets are valid, have this scope, and may be used from the address.

    The secret of a project's key has it by itself, that of an admin key for the project in which it works. None is
    valid for an archived project.
    """
    by_digest = {sha256(each.secret): each.secret for each in presented}
    former = case((col(ApiKey.previous_until) > utc_now(), col(ApiKey.previous_sha256)))
    query = select(ApiKey.secret_sha256, former, ApiKey.project_id, ApiKey.allowed_networks).outerjoin(Project)
    query = query.where(
        _is_secret_of(by_digest),
        col(ApiKey.revoked_at).is_(None),
        or_(col(ApiKey.expires_at).is_(None), col(ApiKey.expires_at) > utc_now()),
        or_(
            and_(_is_admin_key(), _has_a_scope("admin:*", WORKS_IN_PROJECTS)),
            and_(not_(_is_admin_key()), _has_a_scope(scope), col(Project.archived_at).is_(None)),
        ),
    )
    found = {
        (by_digest.get(digest), project_id is None): [ip_network(each) for each in allowed]
        for *digests, project_id, allowed in session.exec(query)
        for digest in digests
    }
    archived = _archived(session, {each.project_id for each in presented if each.project_id is not None})
    return {
        each
        for each in presented
        if (key := (each.secret, each.project_id is not None)) in found
        and may_come_from(found[key], each.address)
        and each.project_id not in archived
    }


def _archived(session: Session, project_ids: set[str]) -> set[str]:
    if not project_ids:
        return set()
    query = select(Project.id).where(col(Project.id).in_(project_ids), col(Project.archived_at).is_not(None))
    return set(session.exec(query))


def _is_admin_key() -> ColumnElement[bool]:
    return col(ApiKey.project_id).is_(None)


def _has_a_scope(*scopes: str) -> ColumnElement[bool]:
    return or_(col(ApiKey.scopes) == [], *(col(ApiKey.scopes).contains([scope]) for scope in scopes))


def _is_secret_of(digests: Collection[str]) -> ColumnElement[bool]:
    """A key's current secret, or the one before its last rotation while that is still valid."""
    former = and_(col(ApiKey.previous_sha256).in_(digests), col(ApiKey.previous_until) > utc_now())
    return or_(col(ApiKey.secret_sha256).in_(digests), former)
