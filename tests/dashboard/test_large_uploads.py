"""A file that is too large for a form is sent in parts by the page, and goes on where the connection broke off."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from tests.dashboard.signed_in import a_browser, sign_in
from tests.dashboard.visitor import Visitor
from tests.worker.support import settings
from tests.world import Person, lines

PART = 20_000
PARTS = "**/dashboard/uploads/*/parts"


@pytest.fixture
def small_parts() -> Iterator[None]:
    with settings(TUNERY_MAX_FILE_BYTES="30000", TUNERY_MAX_PART_BYTES=str(PART)):
        yield


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of more than two parts, which the form would refuse."""
    file = tmp_path / "large.jsonl"
    file.write_bytes(lines(600))
    assert file.stat().st_size > 2 * PART
    return file


def send(visitor: Visitor, file: Path) -> None:
    visitor.open("/datasets")
    visitor.page.get_by_label("Upload a file").set_input_files(file)
    press(visitor)


def press(visitor: Visitor) -> None:
    visitor.page.get_by_role("button", name="Upload", exact=True).click()


def check_received(person: Person, visitor: Visitor, file: Path) -> None:
    visitor.page.wait_for_url("**/datasets/file-*")
    (received,) = person.http.get("/files").json()["data"]
    assert person.http.get(f"/files/{received['id']}/content").content == file.read_bytes()
    assert received["filename"] == "large.jsonl"


@pytest.mark.usefixtures("small_parts")
def test_a_file_larger_than_a_form_may_be_is_sent_in_parts(alice: Person, alices: Visitor, large: Path) -> None:
    with a_browser(alice.base_url) as browser:
        sign_in(browser, alice.api_key)
        files = {"file": ("large.jsonl", large.read_bytes())}
        answer = browser.post("/datasets/upload", data={"purpose": "fine-tune"}, files=files)
        assert answer.status_code == 413
    send(alices, large)
    check_received(alice, alices, large)
    assert alices.problems == []


@pytest.mark.usefixtures("small_parts")
def test_a_part_whose_connection_drops_is_sent_again(alice: Person, alices: Visitor, large: Path) -> None:
    alices.page.route(PARTS, lambda route: route.abort(), times=2)
    send(alices, large)
    check_received(alice, alices, large)


@pytest.mark.usefixtures("small_parts")
def test_a_part_whose_answer_breaks_off_is_sent_again(alice: Person, alices: Visitor, large: Path) -> None:
    broken = {"status": 200, "content_type": "application/json", "body": '{"id": "part'}
    alices.page.route(PARTS, lambda route: route.fulfill(**broken), times=1)
    send(alices, large)
    check_received(alice, alices, large)
    assert alices.problems == []


@pytest.mark.usefixtures("small_parts")
def test_an_answer_that_cannot_be_understood_is_said(alices: Visitor, large: Path) -> None:
    page = alices.page
    page.route("**/complete", lambda route: route.fulfill(status=200, content_type="application/json", body="{}"))
    send(alices, large)
    expect(page.locator("#messages")).to_contain_text("The upload stopped")
    expect(page.get_by_role("button", name="Upload", exact=True)).to_be_enabled()
    assert alices.problems == []


@pytest.mark.usefixtures("small_parts")
def test_an_upload_that_broke_off_goes_on_when_it_is_sent_again(alice: Person, alices: Visitor, large: Path) -> None:
    sent = 0

    def lose_all_but_the_first(route: Route) -> None:
        nonlocal sent
        sent += 1
        route.continue_() if sent == 1 else route.abort()

    page = alices.page
    page.clock.install()  # so that nobody waits between the tries
    page.route(PARTS, lose_all_but_the_first)
    send(alices, large)
    expect_alert = page.get_by_text("The connection broke off after")
    while not expect_alert.is_visible():
        page.clock.run_for(30_000)
    page.unroute(PARTS)
    again: list[str] = []
    page.on("request", lambda request: again.append(request.url))
    press(alices)
    check_received(alice, alices, large)
    parts = -(-large.stat().st_size // PART)
    assert len([each for each in again if each.endswith("/parts")]) == parts - 1
    assert not [each for each in again if each.endswith("/uploads")], "it began anew"


@pytest.mark.usefixtures("small_parts")
def test_what_refuses_a_large_file_is_said_in_words(alice: Person, alices: Visitor, large: Path) -> None:
    with settings(TUNERY_MAX_UPLOAD_BYTES="1000", TUNERY_MAX_FILE_BYTES="900", TUNERY_MAX_PART_BYTES=str(PART)):
        send(alices, large)
        expect(alices.page.locator("#messages")).to_contain_text("bytes")
    assert alice.http.get("/files").json()["data"] == []
    assert alices.violations() == []


def test_parts_of_another_project_are_not_found(alice: Person, bob: Person) -> None:
    new = {"filename": "a.jsonl", "bytes": 9, "purpose": "fine-tune", "mime_type": "application/jsonl"}
    with a_browser(alice.base_url) as hers, a_browser(bob.base_url) as his:
        sign_in(hers, alice.api_key)
        sign_in(his, bob.api_key)
        id = hers.post("/uploads", json=new).json()["id"]
        assert his.post(f"/uploads/{id}/parts", files={"data": b"x"}).status_code == 404
        assert his.post(f"/uploads/{id}/complete", json={"part_ids": ["part_x"]}).status_code == 404
        elsewhere = {"sec-fetch-site": "cross-site"}
        assert hers.post("/uploads", json=new, headers=elsewhere).status_code == 403
