"""What is typed can be a wrong value: it is refused with a sentence."""

from collections.abc import Iterator

import httpx2
import pytest

from tests.api.administration import Operator
from tests.dashboard.signed_in import a_browser, sign_in
from tests.dashboard.test_sessions import admin_key
from tests.world import Person


@pytest.fixture
def browser(alice: Person) -> Iterator[httpx2.Client]:
    with a_browser(alice.base_url) as browser:
        sign_in(browser, alice.api_key)
        yield browser


@pytest.fixture
def admins(alice: Person, operator: Operator) -> Iterator[httpx2.Client]:
    with a_browser(alice.base_url) as browser:
        sign_in(browser, admin_key(operator))
        yield browser


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59", "0001-01-01T00:00", "1969-12-31T23:59", "soon"])
def test_a_time_that_cannot_be_is_refused(browser: httpx2.Client, admins: httpx2.Client, time: str) -> None:
    for name in ("since", "until"):
        for answer in (
            browser.get("/webhooks/events", params={name: time}),
            admins.get("/audit", params={name: time}),
        ):
            assert answer.status_code == 400
            assert f"{name} must be a time such as" in answer.text


@pytest.mark.parametrize("amount", ["1e999999", "-1e999999", "1e-999999", "1" * 5000, "NaN", "Infinity"])
def test_an_amount_that_cannot_be_is_refused_at_its_field(alice: Person, admins: httpx2.Client, amount: str) -> None:
    page = f"/projects/{alice.project_id}/budget"
    for path, name in ((page, "threshold_amount"), (f"{page}/approval", "approval_amount")):
        answer = admins.post(path, data={name: amount, "alert_percentages": "50"})
        assert (answer.status_code, "must be dollars" in answer.text) == (400, True)


@pytest.mark.parametrize("percentage", ["1" * 5000, "\N{ARABIC-INDIC DIGIT FIVE}\N{SUPERSCRIPT TWO}", "many"])
def test_a_percentage_that_cannot_be_is_refused(alice: Person, admins: httpx2.Client, percentage: str) -> None:
    typed = {"threshold_amount": "250", "alert_percentages": percentage}
    assert admins.post(f"/projects/{alice.project_id}/budget", data=typed).status_code == 400
