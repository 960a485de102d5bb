"""Signing in, and making links for it, count as requests of the key."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from shared.database import transaction
from shared.projects import service as projects
from tests.api.conftest import serving_under
from tests.dashboard.signed_in import a_browser, sign_in
from tests.world import Person

ENOUGH = 60  # requests, of 5 that a key may send per minute: more than a slow machine needs to see a refusal


@pytest.fixture(scope="module")
def narrow_server(server: str) -> Iterator[str]:
    limits = {"REQUESTS_PER_MINUTE": "5", "FAILED_AUTHENTICATIONS_PER_MINUTE": "3"}
    with serving_under(**{f"TUNERY_RATE_LIMITS__{name}": value for name, value in limits.items()}) as address:
        yield address


def refused(send: Callable[[], Any]) -> bool:
    return any(send().status_code == 429 for _ in range(ENOUGH))


def test_a_key_signs_in_only_as_often_as_it_may_send_requests(narrow_server: str, alice: Person, bob: Person) -> None:
    with a_browser(narrow_server) as browser:

        def again() -> Any:
            browser.cookies.clear()
            return sign_in(browser, alice.api_key)

        assert refused(again)
        browser.cookies.clear()
        assert sign_in(browser, bob.api_key).status_code == 303, "what one key has used is not another's"


def test_a_key_makes_only_so_many_links(narrow_server: str, alice: Person) -> None:
    address = narrow_server.removesuffix("/v1") + "/dashboard/sign-in-links"
    headers = {"authorization": f"Bearer {alice.api_key}"}
    assert refused(lambda: httpx2.post(address, headers=headers))


def test_an_admin_who_has_signed_in_lets_nobody_guess_keys(narrow_server: str, alice: Person) -> None:
    with transaction() as session:
        _, secret = projects.create_api_key(session, None, "operator")
    with a_browser(narrow_server) as browser:
        assert sign_in(browser, secret).status_code == 303
    with a_browser(narrow_server) as browser:
        assert refused(lambda: sign_in(browser, "sk-tun-guessed"))
