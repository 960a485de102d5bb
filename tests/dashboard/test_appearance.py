"""Each page in light and dark, on a desk and on a phone: accessible, within its policy, from this server alone."""

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser

from tests.api.administration import Operator, operating
from tests.api.module_person import alice
from tests.dashboard.conftest import visiting
from tests.dashboard.furnished import ids
from tests.dashboard.pages import OF_A_PROJECT, OF_AN_OPERATOR, OPEN, REFUSED, SECRETS
from tests.dashboard.visitor import Visitor
from tests.world import Person, Sandbox

__all__ = ["alice"]

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
APPEARANCES: dict[str, tuple[Literal["light", "dark"], dict[str, int]]] = {
    "light-desk": ("light", DESK),
    "dark-desk": ("dark", DESK),
    "light-phone": ("light", PHONE),
    "dark-phone": ("dark", PHONE),
}


@pytest.fixture(scope="module")
def ids_shown(alice: Person, sandbox_server: Sandbox) -> dict[str, str]:
    return ids(alice, sandbox_server)


@pytest.fixture(scope="module")
def operator_key(server: str, alice: Person) -> Iterator[str]:
    with operating(server) as operator:
        yield key_of(operator)


def key_of(operator: Operator) -> str:
    return str(operator.http.headers["authorization"]).removeprefix("Bearer ")


@pytest.fixture(scope="module", params=APPEARANCES)
def visitors(
    request: pytest.FixtureRequest, browser: Browser, alice: Person, operator_key: str, ids_shown: dict[str, str]
) -> Iterator[tuple[str, dict[str, Visitor]]]:
    """A project's member, an operator, and somebody who is not signed in, with one appearance."""
    theme, size = APPEARANCES[request.param]
    looks: dict[str, Any] = {"color_scheme": theme, "viewport": size}
    with (
        visiting(browser, alice.base_url, alice.api_key, **looks) as member,
        visiting(browser, alice.base_url, operator_key, **looks) as operator,
        visiting(browser, alice.base_url, None, **looks) as nobody,
    ):
        yield request.param, {"member": member, "operator": operator, "nobody": nobody}


WHOSE = {"member": OF_A_PROJECT, "operator": OF_AN_OPERATOR, "nobody": OPEN}
CASES = [(who, name) for who, pages in WHOSE.items() for name in pages]


@pytest.mark.parametrize(("who", "name"), CASES, ids=[name for _, name in CASES])
def test_a_page_is_accessible_and_keeps_to_its_policy(
    visitors: tuple[str, dict[str, Visitor]], ids_shown: dict[str, str], who: str, name: str
) -> None:
    appearance, by_who = visitors
    visitor = by_who[who]
    visitor.problems.clear()
    visitor.open(WHOSE[who][name].format(**ids_shown))
    visitor.settle()
    visitor.take_picture(f"{name}-{appearance}")
    assert visitor.violations() == []
    assert not visitor.is_wider_than_the_screen()
    unexpected = [each for each in visitor.problems if not (name in REFUSED and "the server responded with" in each)]
    assert unexpected == []


@pytest.mark.parametrize("name", SECRETS)
def test_a_page_that_shows_a_secret_once_is_accessible(
    visitors: tuple[str, dict[str, Visitor]], ids_shown: dict[str, str], name: str
) -> None:
    appearance, by_who = visitors
    who, form = SECRETS[name]
    visitor = by_who[who]
    visitor.problems.clear()
    visitor.open(form.format(**ids_shown))
    page = visitor.page
    page.get_by_label("Name", exact=True).fill("shown once")
    if name == "webhook-secret":
        page.get_by_label("URL", exact=True).fill("https://example.com/hook")
    page.get_by_role("button", name="Create", exact=True).click()
    page.locator("#secret").wait_for()
    page.mouse.move(0, 0)
    visitor.take_picture(f"{name}-{appearance}")
    assert visitor.violations() == []
    assert not visitor.is_wider_than_the_screen()
    secret = page.locator("#secret").inner_text()
    assert secret not in page.url
    assert visitor.problems == []
