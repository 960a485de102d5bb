"""The forms of a project's money: its budget, approvals, e-mail and spend alerts, with an admin key."""

from collections.abc import Iterator
from html import unescape

import httpx2
import pytest

from tests.api.administration import Operator
from tests.dashboard.signed_in import a_browser, sign_in
from tests.dashboard.test_sessions import admin_key
from tests.world import Person


@pytest.fixture
def browser(alice: Person, operator: Operator) -> Iterator[httpx2.Client]:
    with a_browser(alice.base_url) as browser:
        sign_in(browser, admin_key(operator))
        yield browser


def own_page(person: Person) -> str:
    with a_browser(person.base_url) as browser:
        sign_in(browser, person.api_key)
        return str(browser.get("/project").text)


def test_budget_approval_and_email_are_set_and_removed(alice: Person, browser: httpx2.Client) -> None:
    page = f"/projects/{alice.project_id}"
    assert browser.post(f"{page}/budget", data={"threshold_amount": "99.50", "alert_percentages": "50 90"}).is_redirect
    shown = browser.get(f"{page}/budget").text
    assert "$99.50" in shown
    assert 'value="50 90"' in shown
    refused = browser.post(f"{page}/budget", data={"threshold_amount": "lots"})
    assert (refused.status_code, 'value="lots"' in refused.text) == (400, True)
    assert 'id="threshold_amount-error"' in refused.text
    assert browser.post(f"{page}/budget/approval", data={"approval_amount": "5"}).is_redirect
    assert "A job above $5.00 waits for approval" in unescape(own_page(alice))
    assert browser.post(f"{page}/budget/approval/delete").is_redirect
    assert browser.post(f"{page}/budget/delete").is_redirect
    assert "There is no limit for a month" in browser.get(f"{page}/budget").text
    typed = {"recipients": "a@example.com\nb@example.com", "event_types": ["fine_tuning.job.failed"]}
    assert browser.post(f"{page}/email", data=typed).is_redirect
    assert "b@example.com" in browser.get(f"{page}/email").text
    assert browser.post(f"{page}/email", data={"recipients": "nobody"}).status_code == 400
    assert browser.post(f"{page}/email/delete").is_redirect


def test_a_change_that_is_refused_is_corrected_in_its_row(
    alice: Person, operator: Operator, browser: httpx2.Client
) -> None:
    page, path = f"/projects/{alice.project_id}/alerts", f"/projects/{alice.project_id}/spend_alerts"
    browser.post(page, data={"threshold_amount": "500", "notification_channel": "a@example.com"})
    (made,) = operator.http.get(path).json()["data"]
    refused = browser.post(f"{page}/{made['id']}", data={"threshold_amount": "600", "notification_channel": "nobody"})
    assert refused.status_code == 400
    row, new = unescape(refused.text).split("<h2>New alert</h2>")
    assert '<details class="confirm" open>' in row
    assert 'name="threshold_amount" required value="600"' in row
    assert 'value="nobody"' in row
    assert "Write each address as name@example.com" in row
    assert "600" not in new
    assert "nobody" not in new
    assert browser.post(f"{page}/spendalert-none", data={"threshold_amount": "x"}).status_code == 404


def test_spend_alerts_are_made_changed_and_deleted(alice: Person, operator: Operator, browser: httpx2.Client) -> None:
    page, path = f"/projects/{alice.project_id}/alerts", f"/projects/{alice.project_id}/spend_alerts"
    typed = {"threshold_amount": "99.50", "notification_channel": "a@example.com\nb@example.com", "subject_prefix": ""}
    assert browser.post(page, data=typed).is_redirect
    (made,) = operator.http.get(path).json()["data"]
    assert (made["threshold_amount"], made["notification_channel"]["recipients"][1]) == (9950, "b@example.com")
    shown = browser.get(page).text
    assert "$99.50" in shown
    assert 'value="a@example.com b@example.com"' in shown
    for wrong in ({"threshold_amount": "lots"}, {"notification_channel": "nobody"}):
        refused = browser.post(page, data={**typed, **wrong})
        assert (refused.status_code, f'id="{next(iter(wrong))}-error"' in refused.text) == (400, True)
    assert browser.post(f"{page}/{made['id']}", data={**typed, "threshold_amount": "5"}).is_redirect
    assert [each["threshold_amount"] for each in operator.http.get(path).json()["data"]] == [500]
    assert browser.post(f"{page}/{made['id']}/delete").is_redirect
    assert "No spend alert yet" in browser.get(page).text
    assert browser.post(f"{page}/{made['id']}/delete").status_code == 404
