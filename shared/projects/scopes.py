"""The scopes of API keys: `resource:read` or `resource:write`, and `admin:*` for all of administration."""

from collections.abc import Collection
from typing import Literal, get_args

from shared.errors import Forbidden, Invalid

ProjectScope = Literal[
    "jobs:read",
    "jobs:write",
    "files:read",
    "files:write",
    "models:read",
    "models:write",
    "deployments:read",
    "deployments:write",
    "webhooks:read",
    "webhooks:write",
    "inference",
]
AdminScope = Literal[
    "admin:*",
    "admin:projects:read",
    "admin:projects:write",
    "admin:admin_api_keys:read",
    "admin:admin_api_keys:write",
    "admin:credentials:read",
    "admin:credentials:write",
    "admin:limits:read",
    "admin:limits:write",
    "admin:costs:read",
    "admin:costs:write",
    "admin:audit_logs:read",
    "admin:activity:read",
]
PROJECT_SCOPES: tuple[str, ...] = get_args(ProjectScope)
ADMIN_SCOPES: tuple[str, ...] = get_args(AdminScope)


def has_scope(scopes: frozenset[str], required: str) -> bool:
    """Whether a key with these scopes has the required one. A key without scopes has all."""
    return not scopes or required in scopes or "admin:*" in scopes


def check_scope(scopes: frozenset[str], required: str) -> None:
    """Raises `Forbidden` if a key with these scopes lacks the required one."""
    if not has_scope(scopes, required):
        raise Forbidden(
            f"You have insufficient permissions for this operation. Missing scopes: {required}. "
            "Ask your operator for a key that has it"
        )


def may_grant(own: frozenset[str], wanted: Collection[str]) -> bool:
    """Whether a key with the scopes `own` may create one with the scopes `wanted`; empty means all."""
    return not own or "admin:*" in own or (bool(wanted) and own.issuperset(wanted))


def check_known(given: Collection[str], known: Collection[str]) -> Collection[str]:
    """Return the given scopes. Raises `Invalid` if one is unknown."""
    if unknown := sorted(set(given) - set(known)):
        raise Invalid(f"No such scope: {', '.join(unknown)}. Use one of: {', '.join(known)}", param="scopes")
    return given
