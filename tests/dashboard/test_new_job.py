"""A job without code and without scripts: from the file to the job, and what is refused stays in the form."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.api.accounts import admin, give
from tests.dashboard.signed_in import a_browser, key_of, sign_in
from tests.world import Person, Sandbox, work

__all__ = ["admin"]
HOSTILE = "<img src=x onerror=alert(1)>"


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
        ("metadata", "a=b\0", "contains a NUL"),
        ("suffix", "a\0b", "contains a NUL"),
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


@pytest.mark.parametrize(
    ("grader", "sentence"),
    [
        ("[" * 4000 + "]" * 4000, "nested deeper"),
        (r'{"type": "\u0000"}', "contains a NUL"),
        (r'{"type": "\ud800"}', "contains a NUL or half of a surrogate pair"),
        ("{", "It is not JSON"),
    ],
)
def test_a_grader_that_no_body_may_hold_is_refused_at_its_field(
    alice: Person, browser: httpx2.Client, grader: str, sentence: str
) -> None:
    file = alice.upload()
    work(2)
    answer = browser.post("/jobs/new", data=form(file, method="reinforcement", grader=grader, suffix="kept"))
    assert answer.status_code == 400
    assert sentence in answer.text.partition('id="problem"')[2].partition("</label>")[0]
    assert 'value="kept"' in answer.text


@pytest.mark.parametrize("epochs", ["0", "51", "99", "many"])
def test_an_estimate_is_for_as_many_epochs_as_a_job_may_have(
    alice: Person, browser: httpx2.Client, epochs: str
) -> None:
    file = alice.upload()
    work(2)
    page = browser.get("/jobs/new", params=form(file, n_epochs=epochs)).text
    assert "Tokens billed" not in page
    sentence = "Epochs must be a whole number from 1 to 50"
    assert sentence in page.partition('id="problem"')[2].partition("</label>")[0]


def test_enter_in_a_field_shows_the_estimate(alice: Person, browser: httpx2.Client) -> None:
    file = alice.upload()
    work(2)
    shown = browser.get("/jobs/new", params=form(file)).text.partition('id="new-job"')[2]
    pressed = shown[shown.index("<button") :].partition("</button>")[0]  # the first of a form
    assert "See the estimate" in pressed
    assert "formaction" not in pressed


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


def test_the_options_of_the_accounts_kind_of_provider_are_offered_and_judged(
    admin: httpx2.Client, alice: Person, sandbox: Sandbox, browser: httpx2.Client
) -> None:
    give(admin, alice, sandbox, dialect="trainer")
    file = alice.upload()
    work(2)
    page = browser.get("/jobs/new", params=form(file)).text
    for name in ("rank", "quantization", "full", "targets"):
        assert f'name="option.{name}"' in page
    wrong = browser.post("/jobs/new", data={**form(file), "option.rank": "0"})
    before, _, after = wrong.text.partition('id="problem"')
    assert "from 1 to 512" in after.partition("</label>")[0]
    assert 'name="option.rank"' in before[before.rindex("<label") :]
    options = {"option.rank": "8", "option.full": "false", "option.targets": "q_proj, v_proj", "option.warmup": ""}
    job = created(alice, browser.post("/jobs/new", data={**form(file), **options}))
    assert job["provider_options"] == {"rank": 8, "full": False, "targets": ["q_proj", "v_proj"]}
    again = browser.get("/jobs/new", params={"from_job": job["id"]}).text
    assert 'value="q_proj, v_proj"' in again


def test_what_remains_of_the_budget_and_who_must_approve_is_told_before(
    admin: httpx2.Client, alice: Person, browser: httpx2.Client
) -> None:
    limit = {"currency": "USD", "interval": "month", "threshold_amount": 5_000}
    admin.post(f"/organization/projects/{alice.project_id}/spend_limit", json=limit).raise_for_status()
    file = alice.upload()
    work(2)
    assert "$50.00 of $50.00 remain this month" in browser.get("/jobs/new", params=form(file)).text


def form_id_of(browser: httpx2.Client, path: str, **query: str) -> str:
    return browser.get(path, params=query).text.split('name="form_id" value="')[1].split('"')[0]


def test_a_form_that_is_sent_twice_creates_one_job(alice: Person, browser: httpx2.Client) -> None:
    chosen = form(alice.upload())
    work(2)
    sent = {**chosen, "form_id": form_id_of(browser, "/jobs/new", **chosen)}
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: created(alice, browser.post("/jobs/new", data=sent))["id"], range(2))
    assert first == second
    assert created(alice, browser.post("/jobs/new", data={**sent, "suffix": "changed"}))["id"] != first
    for number in (3, 4):
        again = {"form_id": form_id_of(browser, f"/jobs/{first}")}
        made = {created(alice, browser.post(f"/jobs/{first}/again", data=again))["id"] for _ in range(2)}
        assert (len(made), len(alice.openai.fine_tuning.jobs.list().data)) == (1, number)


def test_hostile_texts_stay_texts(alice: Person, browser: httpx2.Client) -> None:
    job = alice.create_job(suffix=HOSTILE, metadata={HOSTILE: "\u202e"}, training_file=alice.upload(name=HOSTILE))
    work()
    for query in ({}, {"from_job": job}, {"training_file": "", "model": HOSTILE, "from_job": job}):
        page = browser.get("/jobs/new", params=query).text
        assert "<img" not in page
        assert "&lt;img" in page


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


def test_a_key_needs_the_scopes_of_files_too(alice: Person) -> None:
    file = alice.upload()
    work(2)
    _, of_jobs = key_of(alice, scopes=["jobs:read", "jobs:write"])
    _, of_readers = key_of(alice, scopes=["jobs:write", "jobs:read", "files:read"])
    with a_browser(alice.base_url) as browser:
        sign_in(browser, of_jobs)
        assert browser.get("/jobs/new").status_code == 403
        assert browser.post("/jobs/new", data=form(file)).status_code == 303
    with a_browser(alice.base_url) as browser:
        sign_in(browser, of_readers)
        assert browser.get("/jobs/new").status_code == 200
        assert browser.post("/jobs/new/split", data=form(file)).status_code == 403
