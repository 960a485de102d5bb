"""What a key may do with its scopes, and which scopes it may grant."""

from collections.abc import Collection

import pytest

from shared.errors import Forbidden, Invalid
from shared.projects.scopes import ADMIN_SCOPES, PROJECT_SCOPES, check_known, check_scope, may_grant


@pytest.mark.parametrize(
    ("scopes", "required", "is_allowed"),
    [
        ([], "jobs:write", True),
        ([], "admin:projects:write", True),
        (["jobs:write"], "jobs:write", True),
        (["jobs:write"], "jobs:read", False),
        (["jobs:read"], "jobs:write", False),
        (["jobs:read", "files:write"], "files:write", True),
        (["inference"], "inference", True),
        (["inference"], "models:read", False),
        (["admin:*"], "admin:costs:write", True),
        (["admin:costs:read"], "admin:costs:write", False),
        (["admin:costs:read"], "admin:*", False),
    ],
)
def test_a_key_may_do_what_its_scopes_say(scopes: list[str], required: str, is_allowed: bool) -> None:
    if is_allowed:
        check_scope(frozenset(scopes), required)
    else:
        with pytest.raises(Forbidden, match=f"Missing scopes: {required.replace('*', '.')}"):
            check_scope(frozenset(scopes), required)


@pytest.mark.parametrize("scope", [*PROJECT_SCOPES, *ADMIN_SCOPES])
def test_every_scope_allows_itself_and_a_key_without_scopes_has_it(scope: str) -> None:
    check_scope(frozenset([scope]), scope)
    check_scope(frozenset(), scope)


@pytest.mark.parametrize(
    ("own", "wanted", "is_allowed"),
    [
        ([], [], True),
        ([], ["admin:costs:read"], True),
        (["admin:*"], [], True),
        (["admin:*"], ["admin:*"], True),
        (["admin:costs:read"], ["admin:costs:read"], True),
        (["admin:costs:read", "admin:projects:read"], ["admin:costs:read"], True),
        (["admin:costs:read"], ["admin:costs:write"], False),
        (["admin:costs:read"], ["admin:costs:read", "admin:projects:read"], False),
        (["admin:costs:read"], ["admin:*"], False),
        (["admin:costs:read"], [], False),
    ],
)
def test_a_key_grants_no_more_than_it_has(own: list[str], wanted: list[str], is_allowed: bool) -> None:
    assert may_grant(frozenset(own), wanted) is is_allowed


@pytest.mark.parametrize("known", [PROJECT_SCOPES, ADMIN_SCOPES])
def test_an_unknown_scope_is_named_with_the_known_ones(known: Collection[str]) -> None:
    assert check_known(list(known), known) == list(known)
    with pytest.raises(Invalid, match=r"No such scope: a, jobs:\. Use one of: ") as refused:
        check_known(["jobs:", "a"], known)
    assert refused.value.param == "scopes"
