"""The same job at another account: by its provider's name, as an alternative, and what the same data costs anywhere."""

from decimal import Decimal
from typing import Any

import httpx2
import pytest
from openai import BadRequestError, NotFoundError

from shared.jobs.models import Job
from shared.projects.models import Credential
from tests.api.accounts import admin, give
from tests.api.datasets import show
from tests.worker.support import change, settings
from tests.world import Person, Sandbox, lines, row, work

__all__ = ["admin"]
RATE = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "learning_rate_multiplier": 0.3}}}
BASES = [
    {"id": "Qwen/Qwen3-8B", "created": 1, "owned_by": "qwen", "shutdown_date": None},
    {"id": "gpt-4o-mini", "created": 1, "owned_by": "openai", "shutdown_date": None},
]


@pytest.fixture
def accounts(admin: httpx2.Client, alice: Person, sandbox: Sandbox) -> dict[str, str]:
    """Two accounts of alice: at the trainer, the older, which offers an open model too; and at OpenAI."""
    made = {dialect: give(admin, alice, sandbox, dialect=dialect) for dialect in ("trainer", "openai")}
    change(Credential, made["trainer"], base_models=BASES)
    return made


def check(accounts: dict[str, str]) -> None:
    """Let the worker check new files and count their tokens; it asks the accounts for their models, too."""
    work(2)
    change(Credential, accounts["trainer"], base_models=BASES)


def alternatives(person: Person, job_id: str) -> list[dict[str, Any]]:
    answer = person.http.get(f"/fine_tuning/jobs/{job_id}/alternatives").raise_for_status().json()
    assert answer["object"] == "list"
    found: list[dict[str, Any]] = answer["data"]
    return found


def test_a_job_goes_to_the_provider_that_it_names(alice: Person, accounts: dict[str, str]) -> None:
    for provider in ("trainer", "openai"):
        job_id = alice.create_job(extra_body={"provider": provider})
        assert row(Job, job_id).credential_id == accounts[provider]
        assert alice.http.get(f"/fine_tuning/jobs/{job_id}").json()["provider"] == provider
    assert row(Job, alice.create_job()).credential_id == accounts["openai"]  # the newest
    assert row(Job, alice.create_job(model="Qwen/Qwen3-8B")).credential_id == accounts["trainer"]  # the only one


def test_a_provider_without_an_account_is_refused_and_the_known_ones_named(
    alice: Person, accounts: dict[str, str]
) -> None:
    with pytest.raises(BadRequestError, match="only at openai, trainer") as refusal:
        alice.create_job(extra_body={"provider": "elsewhere"})
    assert (refusal.value.code, refusal.value.param) == ("invalid_value", "provider")


def test_a_model_that_the_named_provider_does_not_offer_is_refused(alice: Person, accounts: dict[str, str]) -> None:
    with pytest.raises(BadRequestError) as refusal:
        alice.create_job(model="Qwen/Qwen3-8B", extra_body={"provider": "openai"})
    assert (refusal.value.code, refusal.value.param) == ("model_not_available", "model")


def test_the_same_job_again_stays_at_its_provider(alice: Person, accounts: dict[str, str]) -> None:
    first = alice.create_job(extra_body={"provider": "trainer", "provider_options": {"rank": 4}})
    again = alice.http.post("/fine_tuning/jobs", json={"from_job": first}).raise_for_status().json()
    assert (again["provider"], again["provider_options"]) == ("trainer", {"rank": 4})


def test_alternatives_say_what_changes_and_their_request_makes_that_job(
    alice: Person, accounts: dict[str, str]
) -> None:
    job_id = alice.create_job(method=RATE, extra_body={"provider": "trainer", "provider_options": {"rank": 4}})
    check(accounts)
    found = alternatives(alice, job_id)
    assert {(each["provider"], each["model"]) for each in found} > {
        ("trainer", "Qwen/Qwen3-8B"),
        ("openai", "gpt-4o-mini-2024-07-18"),
    }
    assert all(each["request"]["from_job"] == job_id for each in found)
    there = next(each for each in found if (each["provider"], each["model"]) == ("openai", "gpt-4o-mini-2024-07-18"))
    assert there["changes"] == ["provider_options.rank is left out: a provider that speaks openai has no such option"]
    assert Decimal(there["estimated_cost"]["amount"]) == Decimal(3) * there["estimated_cost"]["tokens"] / 1_000_000
    made = alice.http.post("/fine_tuning/jobs", json=there["request"]).raise_for_status().json()
    assert (made["provider"], made["model"], made["provider_options"]) == ("openai", there["model"], None)
    assert made["hyperparameters"]["learning_rate_multiplier"] == 0.3
    events = [event.message for event in alice.openai.fine_tuning.jobs.list_events(made["id"])]
    assert any("provider_options.rank is left out" in message for message in events)


def test_elsewhere_a_copy_trains_for_as_many_epochs_as_the_job_did(alice: Person, accounts: dict[str, str]) -> None:
    job_id = alice.create_job(extra_body={"provider": "trainer"})
    request = {"from_job": job_id, "model": "gpt-4o-mini-2024-07-18", "provider": "openai"}
    stays = alice.http.post("/fine_tuning/jobs", json=request).raise_for_status().json()
    assert stays["hyperparameters"]["n_epochs"] == "auto"
    change(Job, job_id, hyperparameters={"n_epochs": 4, "batch_size": 2, "learning_rate_multiplier": 1.8})
    taken = alice.http.post("/fine_tuning/jobs", json=request).raise_for_status().json()
    assert taken["hyperparameters"] == {"n_epochs": 4, "batch_size": "auto", "learning_rate_multiplier": "auto"}
    found = {each["provider"]: each["changes"] for each in alternatives(alice, job_id)}
    assert found["openai"] == ["n_epochs is 4, as auto came to for the job: it may come to another number there"]
    assert found["trainer"] == []  # another base at the same provider


def test_those_that_fit_come_first_and_the_cheapest_before_others(alice: Person, accounts: dict[str, str]) -> None:
    job_id = alice.create_job(extra_body={"provider": "trainer"})
    check(accounts)
    found = alternatives(alice, job_id)
    refused = [any(problem["severity"] == "error" for problem in each["problems"]) for each in found]
    assert refused == sorted(refused)
    amounts = [
        Decimal(each["estimated_cost"]["amount"])
        for each, is_refused in zip(found, refused, strict=True)
        if each["estimated_cost"] and not is_refused
    ]
    assert len(amounts) > 1
    assert amounts == sorted(amounts)


@pytest.mark.parametrize("dialect", ["fireworks", "mantle"])
def test_a_seed_is_refused_where_none_is_taken_and_a_copy_says_that_it_is_left_out(
    alice: Person, admin: httpx2.Client, sandbox: Sandbox, accounts: dict[str, str], dialect: str
) -> None:
    give(admin, alice, sandbox, dialect=dialect)
    with pytest.raises(BadRequestError, match="takes none") as refusal:
        alice.create_job(seed=7, extra_body={"provider": dialect})
    assert (refusal.value.code, refusal.value.param) == ("unsupported_by_provider", "seed")
    unseeded = alice.create_job(extra_body={"provider": dialect})
    seeded = alice.create_job(seed=7, extra_body={"provider": "openai"})
    copy = {"from_job": seeded, "model": "gpt-4o-mini", "provider": dialect}
    made, again = (
        alice.http.post("/fine_tuning/jobs", json=each).raise_for_status().json()["id"]
        for each in (copy, {"from_job": unseeded})
    )
    told = [
        any("seed is left out" in event.message for event in alice.openai.fine_tuning.jobs.list_events(job_id))
        for job_id in (unseeded, made, again)
    ]
    assert told == [False, True, False]
    refused = alice.http.post("/fine_tuning/jobs", json={**copy, "seed": 8})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "seed")


def test_alternatives_of_another_project_are_not_found(alice: Person, bob: Person, accounts: dict[str, str]) -> None:
    job_id = alice.create_job()
    with pytest.raises(NotFoundError):
        bob.openai.get(f"/fine_tuning/jobs/{job_id}/alternatives", cast_to=object)


def test_an_estimate_without_a_model_lists_every_account(alice: Person, accounts: dict[str, str]) -> None:
    dataset_id = alice.upload(lines(12))
    check(accounts)
    with settings(TUNERY_PRICES='[{"provider": "trainer", "base": "Qwen/Qwen3-8B", "per_million_tokens": "0.01"}]'):
        found = show(alice, dataset_id, "/estimate")["data"]
        first = found[0]
        assert (first["provider"], first["model"], first["price_confidence"]) == ("trainer", "Qwen/Qwen3-8B", "own")
        assert Decimal(first["amount"]) == Decimal("0.01") * first["billed_tokens"] / 1_000_000
        assert {each["provider"] for each in found} == {"trainer", "openai"}
        assert all(each["amount"] or each["reason"] for each in found)
        only = show(alice, dataset_id, "/estimate?provider=trainer")["data"]
        assert {each["provider"] for each in only} == {"trainer"}


def test_an_estimate_of_a_model_is_that_of_the_account_that_would_train_it(
    alice: Person, accounts: dict[str, str]
) -> None:
    dataset_id = alice.upload(lines(12))
    check(accounts)
    found = show(alice, dataset_id, "/estimate?model=Qwen/Qwen3-8B")
    assert (found["provider"], found["amount"]) == ("trainer", None)
    assert "at trainer" in found["reason"]
    assert show(alice, dataset_id, "/estimate?model=gpt-4o-mini")["provider"] == "openai"
    assert show(alice, dataset_id, "/estimate?model=gpt-4o-mini&provider=trainer")["provider"] == "trainer"


def test_a_dataset_is_judged_for_each_provider(
    alice: Person, admin: httpx2.Client, accounts: dict[str, str], sandbox: Sandbox
) -> None:
    give(admin, alice, sandbox, dialect="mantle", provider="bedrock")  # whatever its name, with limits of its own
    dataset_id = alice.upload(lines(12))
    check(accounts)
    found = {each["provider"]: each for each in show(alice, dataset_id, "/providers")["data"]}
    assert {name: each["verdict"] for name, each in found.items()} == {
        "openai": "fits",
        "trainer": "fits",
        "bedrock": "refused",
    }
    assert [each["code"] for each in found["bedrock"]["problems"]] == ["invalid_training_file"]
    assert "at least 100" in found["bedrock"]["problems"][0]["message"]
    assert "Qwen/Qwen3-8B" in found["trainer"]["models"]
    estimates = show(alice, dataset_id, "/estimate")["data"]
    assert {each["provider"] for each in estimates if each["problems"]} >= {"bedrock"}


def test_a_method_that_the_provider_lacks_is_said_in_one_sentence(
    alice: Person, admin: httpx2.Client, accounts: dict[str, str], sandbox: Sandbox
) -> None:
    give(admin, alice, sandbox, dialect="nebius")
    dataset_id = alice.upload(lines(12))
    check(accounts)
    asked = {"model": "gpt-4o-mini", "method": "dpo", "provider": "nebius"}
    one = alice.http.get(f"/datasets/{dataset_id}/estimate", params=asked).raise_for_status().json()
    sentence = "nebius trains by supervised only, not by dpo"
    assert {"code": "invalid_value", "param": "method", "severity": "error", "message": sentence} in one["problems"]
    listed = show(alice, dataset_id, "/estimate?method=dpo&provider=nebius")["data"]
    assert all(sentence in [problem["message"] for problem in each["problems"]] for each in listed)
    with pytest.raises(BadRequestError, match=sentence):
        alice.create_job(training_file=dataset_id, method={"type": "dpo"}, extra_body={"provider": "nebius"})


def test_a_dataset_of_no_method_fits_nowhere(alice: Person, accounts: dict[str, str]) -> None:
    dataset_id = alice.upload(lines(12))
    check(accounts)
    found = show(alice, dataset_id, "/providers?method=dpo")["data"]
    assert {each["verdict"] for each in found} == {"refused"}
    assert all("preference examples" in each["problems"][0]["message"] for each in found)


def test_a_budget_counts_the_operators_own_price(alice: Person, admin: httpx2.Client, accounts: dict[str, str]) -> None:
    path = f"/organization/projects/{alice.project_id}/spend_limit"
    admin.post(path, json={"currency": "USD", "interval": "month", "threshold_amount": 1000}).raise_for_status()
    with pytest.raises(BadRequestError) as refusal:
        alice.create_job(model="Qwen/Qwen3-8B")
    assert refusal.value.code == "cost_unknown"


def test_the_list_of_models_says_who_offers_each(alice: Person, accounts: dict[str, str]) -> None:
    listed = {model["id"]: model["providers"] for model in alice.http.get("/models").json()["data"]}
    assert listed["Qwen/Qwen3-8B"] == ["trainer"]
    assert listed["gpt-4o-mini-2024-07-18"] == ["openai"]
    assert listed["gpt-4o-mini"] == ["openai", "trainer"]  # the newest account is that of new jobs
    assert alice.http.get("/models/gpt-4o-mini").json()["providers"] == ["openai", "trainer"]
