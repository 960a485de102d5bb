"""A job without code and without scripts: from the file to the job, and what is refused stays in the form."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.dashboard.signed_in import a_browser, sign_in
from tests.world import Person, work


@pytest.fixture
def browser(alice: Person) -> Iterator[httpx2.Client]:
    with a_browser(alice.base_url) as browser:
        sign_in(browser, alice.api_key)
        yield browser


def form(file: str, **values: str) -> dict[str, str]:
    return {"training_file": file, "model": "gpt-4o-mini", "method": "supervised", **values}


def created(alice: Person, answer: httpx2.Response) -> Any:
    assert answer.status_code == 303, answer.text
    job_id = answer.headers["location"].removeprefix("/dashboard/jobs/")
    return alice.http.get(f"/fine_tuning/jobs/{job_id}").json()


def test_the_steps_lead_from_a_file_to_the_job(alice: Person, browser: httpx2.Client) -> None:
    file = alice.upload()
    work(2)
    assert file in browser.get("/jobs/new").text
    chosen = {**form(file), "n_epochs": "4", "suffix": "support", "metadata": "team=a=b\nwhy=x", "batch_size": ""}
    page = browser.get("/jobs/new", params=chosen).text
    assert "Tokens billed" in page
    assert "Prices are list prices" in page
    assert "no limit" in page
    job = created(alice, browser.post("/jobs/new", data=chosen))
    assert job["method"]["supervised"]["hyperparameters"]["n_epochs"] == 4
    assert job["hyperparameters"]["batch_size"] == "auto"
    assert (job["user_provided_suffix"], job["metadata"]) == ("support", {"team": "a=b", "why": "x"})


@pytest.mark.parametrize(
    ("field", "text", "sentence"),
    [
        ("n_epochs", "many", "Input should be"),
        ("n_epochs", "51", "less than or equal to 50"),
        ("metadata", "no equals sign", "Write one name=value on each line"),
        ("suffix", "x" * 65, "at most 64"),
        ("model", "ft:gpt-4o-mini:b:c:d", "does not exist or you do not have access"),
    ],
)
def test_what_refuses_a_job_is_at_its_field_and_what_was_typed_stays(
    alice: Person, browser: httpx2.Client, field: str, text: str, sentence: str
) -> None:
    file = alice.upload()
    work(2)
    answer = browser.post("/jobs/new", data={**form(file, suffix="kept"), field: text})
    assert answer.status_code in {400, 404}
    assert answer.text.count('id="problem"') == 1
    before, _, after = answer.text.partition('id="problem"')
    assert sentence in after.partition("</label>")[0]
    assert f'name="{field}"' in before[before.rindex("<label") :]
    assert field == "suffix" or 'value="kept"' in answer.text
    assert alice.http.get("/fine_tuning/jobs").json()["data"] == []


def test_a_validation_file_is_split_off_and_the_form_goes_on_with_both(alice: Person, browser: httpx2.Client) -> None:
    file = alice.upload()
    work(2)
    answer = browser.post("/jobs/new/split", data=form(file, suffix="kept"))
    address = urlsplit(answer.headers["location"])
    chosen = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert chosen["suffix"] == "kept"
    shown = alice.http.get(f"/datasets/{file}").json()
    assert (chosen["training_file"], chosen["validation_file"]) == (
        shown["training_dataset"],
        shown["validation_dataset"],
    )
    assert browser.get("/jobs/new", params=chosen).status_code == 200
    job = created(alice, browser.post("/jobs/new", data=chosen))
    assert job["validation_file"] == shown["validation_dataset"]


def test_the_same_again_is_filled_from_the_job_and_keeps_what_no_field_shows(
    alice: Person, browser: httpx2.Client
) -> None:
    wandb = [{"type": "wandb", "wandb": {"project": "p"}}]
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 7}}}
    first = alice.create_job(suffix="first", method=method, integrations=wandb, metadata={"a": "b"})
    work(2)
    page = browser.get("/jobs/new", params={"from_job": first}).text
    assert 'value="first"' in page
    assert 'value="7"' in page
    shown = alice.http.get(f"/fine_tuning/jobs/{first}").json()
    changed = form(shown["training_file"], from_job=first, n_epochs="3", suffix="")
    job = created(alice, browser.post("/jobs/new", data=changed))
    assert job["method"]["supervised"]["hyperparameters"]["n_epochs"] == 3
    assert (job["user_provided_suffix"], job["integrations"][0]["type"]) == (None, "wandb")


def test_what_belongs_to_another_project_is_not_found(alice: Person, bob: Person) -> None:
    file = alice.upload()
    job = alice.create_job(training_file=file)
    with a_browser(bob.base_url) as browser:
        sign_in(browser, bob.api_key)
        assert browser.get("/jobs/new", params={"from_job": job}).status_code == 404
        assert browser.get("/jobs/new", params={"training_file": file}).status_code == 404
        assert browser.post("/jobs/new", data=form(file)).status_code == 404
        assert browser.post("/jobs/new/split", data=form(file)).status_code == 404
    assert bob.http.get("/fine_tuning/jobs").json()["data"] == []
