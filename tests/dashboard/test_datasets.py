"""The pages of datasets, without a browser: upload, check, download, split, delete, and what is not shown."""

from collections.abc import Iterator

import httpx2
import pytest

from shared.database import transaction
from shared.projects import service as projects
from tests.dashboard.furnished import STRANGE, WRONG
from tests.dashboard.signed_in import a_browser, form_id_of, sign_in
from tests.world import Person, lines, work


@pytest.fixture
def browser(alice: Person) -> Iterator[httpx2.Client]:
    with a_browser(alice.base_url) as browser:
        sign_in(browser, alice.api_key)
        yield browser


def upload(browser: httpx2.Client, content: bytes, name: str = "train.jsonl") -> httpx2.Response:
    return browser.post("/datasets/upload", data={"purpose": "fine-tune"}, files={"file": (name, content)})


def test_a_file_is_uploaded_and_its_check_is_shown(browser: httpx2.Client) -> None:
    address = upload(browser, WRONG).headers["location"].removeprefix("/dashboard")
    assert "is being checked" in browser.get(address).text
    work()
    page = browser.get(address).text
    assert "the role &#39;robot&#39; is not known" in page
    assert "$.messages[0].role" in page
    assert "Use one of the roles" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page
    assert browser.get(f"{address}/valid.jsonl").content == lines()
    assert browser.get(f"{address}/content").content == WRONG


def test_what_refuses_an_upload_is_shown_beside_the_form(alice: Person, browser: httpx2.Client) -> None:
    answer = upload(browser, b"")
    assert answer.status_code == 400
    assert "The file is empty" in answer.text
    assert 'name="file"' in answer.text
    assert alice.http.get("/datasets").json()["data"] == []


def test_hostile_texts_stay_texts(alice: Person, browser: httpx2.Client) -> None:
    file = alice.upload(STRANGE, "<img src=x>.jsonl")
    work()
    for address in ("/datasets", f"/datasets/{file}"):
        page = browser.get(address).text
        assert "<img" not in page
        assert "<bdi>&lt;img src=x&gt;.jsonl</bdi>" in page


def test_the_filter_is_in_the_address(alice: Person, browser: httpx2.Client) -> None:
    alice.upload(name="support.jsonl")
    alice.upload(name="sales.jsonl")
    page = browser.get("/datasets", params={"name": "SUPP", "status": "uploaded"}).text
    assert "support.jsonl" in page
    assert "sales.jsonl" not in page
    assert "No dataset matches" in browser.get("/datasets", params={"status": "error"}).text


def test_a_dataset_is_split_once_and_shows_its_parts(alice: Person, browser: httpx2.Client) -> None:
    file = alice.upload()
    work()
    assert browser.post(f"/datasets/{file}/split", data={"percent": "20"}).status_code == 303
    shown = alice.http.get(f"/datasets/{file}").json()
    page = browser.get(f"/datasets/{file}").text
    assert f"/datasets/{shown['validation_dataset']}" in page
    assert f"/datasets/{file}" in browser.get(f"/datasets/{shown['training_dataset']}").text


def test_a_split_that_is_sent_again_makes_no_more_parts(alice: Person, browser: httpx2.Client) -> None:
    file = alice.upload()
    work()
    typed = {"percent": "20", "form_id": form_id_of(browser.get(f"/datasets/{file}").text)}
    answers = [browser.post(f"/datasets/{file}/split", data=typed) for _ in range(2)]
    assert [each.headers["location"] for each in answers] == [f"/dashboard/datasets/{file}"] * 2
    assert len(alice.http.get("/datasets").json()["data"]) == 3


def test_two_datasets_are_compared(alice: Person, bob: Person, browser: httpx2.Client) -> None:
    file, other, bobs = alice.upload(lines(12)), alice.upload(lines(15)), bob.upload()
    work()
    page = browser.get(f"/datasets/{file}", params={"other": other}).text
    assert "Of 12 examples, 12 are in" in page
    assert browser.get(f"/datasets/{file}", params={"other": bobs}).status_code == 404


def test_a_dataset_that_a_job_needs_is_not_deleted(alice: Person, browser: httpx2.Client) -> None:
    file = alice.upload()
    job = alice.create_job(training_file=file)
    answer = browser.post(f"/datasets/{file}/delete")
    assert answer.status_code == 400
    assert f"needed by {job}" in answer.text or job in answer.text
    alice.openai.fine_tuning.jobs.cancel(job)
    assert browser.post(f"/datasets/{file}/delete").headers["location"] == "/dashboard/datasets"
    assert browser.get(f"/datasets/{file}").status_code == 404


def test_another_projects_datasets_are_not_found(alice: Person, bob: Person) -> None:
    file = alice.upload()
    work()
    with a_browser(bob.base_url) as browser:
        sign_in(browser, bob.api_key)
        for address in (f"/datasets/{file}", f"/datasets/{file}/content", f"/datasets/{file}/valid.jsonl"):
            assert browser.get(address).status_code == 404
        for action in ("split", "delete"):
            assert browser.post(f"/datasets/{file}/{action}").status_code == 404
        assert file not in browser.get("/datasets").text


def test_a_key_that_may_only_read_files_changes_none_and_sees_no_jobs(alice: Person) -> None:
    file = alice.upload()
    alice.create_job(training_file=file, suffix="of-my-team")
    with transaction() as session:
        _, secret = projects.create_api_key(session, alice.project_id, "reader", scopes=["files:read"])
    with a_browser(alice.base_url) as browser:
        sign_in(browser, secret)
        assert "of-my-team" not in browser.get(f"/datasets/{file}").text
        assert browser.post(f"/datasets/{file}/delete").status_code == 403
        assert upload(browser, lines()).status_code == 403
