"""What a key may do: each scope is a thing of the API, and whether it may be read or changed."""

from typing import Literal

from shared.errors import Forbidden

ProjectScope = Literal[
    "jobs:read",
    "jobs:write",
    "files:read",
    "files:write",
    "models:read",
    "models:write",
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
]
EVERYTHING: frozenset[str] = frozenset({"admin:*"})


def check_scope(scopes: frozenset[str], needed: str) -> None:
    """Refuse a key that has scopes, and not this one. A key without any may do all that its kind may."""
    if scopes and needed not in scopes and "admin:*" not in scopes:
        raise Forbidden(
            f"You have insufficient permissions for this operation. Missing scopes: {needed}. "
            "Ask your operator for a key that has it"
        )
