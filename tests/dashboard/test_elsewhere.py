"""The same job, or the same data, at another account: pages that show where, and a form that does it."""

from collections.abc import Iterator

import httpx2
import pytest

from shared.projects.models import Credential
from tests.api.accounts import admin, give
from tests.api.test_elsewhere import BASES, check
from tests.dashboard.signed_in import a_browser, sign_in
from tests.worker.support import change
from tests.world import Person, Sandbox, lines

__all__ = ["admin"]
OPENAI_BASE = "gpt-4o-mini-2024-07-18"


@pytest.fixture
def accounts(admin: httpx2.Client, alice: Person, sandbox: Sandbox) -> dict[str, str]:
    """Two accounts of alice: at the trainer, the older, which offers an open model too; and at OpenAI."""
    made = {dialect: give(admin, alice, sandbox, dialect=dialect) for dialect in ("trainer", "openai")}
    change(Credential, made["trainer"], base_models=BASES)
    return made


@pytest.fixture
def browser(alice: Person) -> Iterator[httpx2.Client]:
    with a_browser(alice.base_url) as browser:
        sign_in(browser, alice.api_key)
        yield browser


def test_a_job_runs_elsewhere_by_a_form_that_makes_one(
    alice: Person, accounts: dict[str, str], browser: httpx2.Client
) -> None:
    job_id = alice.create_job(extra_body={"provider": "trainer", "provider_options": {"rank": 4}})
    check(accounts)
    assert f"/jobs/{job_id}/elsewhere" in browser.get(f"/jobs/{job_id}").text
    page = browser.get(f"/jobs/{job_id}/elsewhere").text
    before, _, _ = page.partition(f'name="model" value="{OPENAI_BASE}"')
    assert "provider_options.rank is left out" in page
    sent = {
        "provider": "openai",
        "model": OPENAI_BASE,
        "form_id": before.rpartition('name="form_id" value="')[2].partition('"')[0],
    }
    made = {browser.post(f"/jobs/{job_id}/elsewhere", data=sent).headers["location"] for _ in range(2)}
    assert len(made) == 1
    job = alice.http.get(f"/fine_tuning/jobs/{made.pop().rpartition('/')[2]}").json()
    assert (job["provider"], job["model"], job["provider_options"]) == ("openai", OPENAI_BASE, None)
    assert len(alice.http.get("/fine_tuning/jobs").json()["data"]) == 2


def test_what_refuses_it_is_told_on_the_page(alice: Person, accounts: dict[str, str], browser: httpx2.Client) -> None:
    job_id = alice.create_job()
    check(accounts)
    for sent in ({}, {"provider": "elsewhere", "model": OPENAI_BASE}):
        answer = browser.post(f"/jobs/{job_id}/elsewhere", data=sent)
        assert answer.status_code == 400, sent
        assert 'data-variant="danger"' in answer.text
    assert len(alice.http.get("/fine_tuning/jobs").json()["data"]) == 1


def test_a_dataset_shows_where_it_fits_and_what_it_would_cost(
    alice: Person, bob: Person, accounts: dict[str, str], browser: httpx2.Client
) -> None:
    file = alice.upload(lines(12))
    assert "being" in browser.get(f"/datasets/{file}/elsewhere").text
    check(accounts)
    assert f"/datasets/{file}/elsewhere" in browser.get(f"/datasets/{file}").text
    page = browser.get(f"/datasets/{file}/elsewhere").text
    for each in ("openai", "trainer", "Qwen/Qwen3-8B", "fits", "What it would cost"):
        assert each in page
    assert page.count("&amp;provider=") == 10
    with a_browser(bob.base_url) as other:
        sign_in(other, bob.api_key)
        assert other.get(f"/datasets/{file}/elsewhere").status_code == 404


def test_a_new_job_chooses_among_the_providers_that_offer_its_model(
    alice: Person, accounts: dict[str, str], browser: httpx2.Client
) -> None:
    file = alice.upload()
    check(accounts)
    chosen = {"training_file": file, "model": "gpt-4o-mini", "method": "supervised", "provider": "trainer"}
    page = browser.get("/jobs/new", params=chosen).text
    assert '<option value="trainer" selected>' in page
    assert 'name="option.rank"' in page
    assert 'name="provider"' not in browser.get("/jobs/new", params={**chosen, "model": "Qwen/Qwen3-8B"}).text
    made = browser.post("/jobs/new", data=chosen).headers["location"].rpartition("/")[2]
    assert alice.http.get(f"/fine_tuning/jobs/{made}").json()["provider"] == "trainer"
    assert '<option value="trainer" selected>' in browser.get("/jobs/new", params={"from_job": made}).text
    refused = browser.post("/jobs/new", data={**chosen, "provider": "elsewhere"})
    assert (refused.status_code, "only at openai, trainer" in refused.text) == (400, True)
