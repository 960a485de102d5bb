"""POST /v1/fine_tuning/jobs refuses what is known to be wrong, before anything is paid for."""

import json
from datetime import date
from io import BytesIO
from typing import Any

import pytest
from openai import APIStatusError

from shared.datasets.validation.check import check
from shared.datasets.validation.rules import fitness
from shared.projects.models import Credential
from shared.settings import get_settings
from tests.api.training import meet_the_base_models, model_of, train
from tests.api.wire import facts
from tests.worker.support import change, ids
from tests.world import Person, Sandbox, lines, work, work_until_created

ANSWER = [{"role": "assistant", "content": "Yes."}]
QUESTION = [{"role": "user", "content": "Is it?"}]
PAIRS = [{"prompt": f"Is it {n}?", "completion": f"Yes, {n}."} for n in range(12)]
PREFERENCES = [
    {
        "input": {"messages": [{"role": "user", "content": f"Is it {n}?"}]},
        "preferred_output": ANSWER,
        "non_preferred_output": [{"role": "assistant", "content": f"No, {n}."}],
    }
    for n in range(12)
]
FILES = {
    "chat": lines(),
    "pairs": "".join(json.dumps(each) + "\n" for each in PAIRS).encode(),
    "preferences": "".join(json.dumps(each) + "\n" for each in PREFERENCES).encode(),
}
MINI = "gpt-4o-mini-2024-07-18"
DPO = {"type": "dpo", "dpo": {}}
UNAVAILABLE = (400, "model_not_available", "model")
WRONG_FILE = (400, "invalid_training_file", "training_file")
OK = (200, None, None)
REFUSALS = {"unknown_model", "model_retired", "method_not_supported", "wrong_format_for_method"}

# A file, a job's model and method, how its create is refused, and what the command finds, which knows no account.
CASES: list[tuple[str, dict[str, Any], tuple[int, str | None, str | None], str | None]] = [
    ("chat", {"model": "gpt-5"}, UNAVAILABLE, "unknown_model"),
    ("chat", {"model": "gpt-3.5-turbo-0125"}, UNAVAILABLE, "model_retired"),
    ("chat", {"model": "gpt-4.1-nano"}, UNAVAILABLE, "model_retired"),
    ("chat", {"model": "babbage-002"}, UNAVAILABLE, "model_retired"),
    ("preferences", {"model": "o4-mini-2025-04-16", "method": DPO}, UNAVAILABLE, "model_retired"),
    ("chat", {"model": MINI}, OK, None),
    ("chat", {"model": "gpt-4o-mini"}, OK, None),
    ("pairs", {"model": MINI}, WRONG_FILE, "wrong_format_for_method"),
    ("preferences", {"model": MINI}, WRONG_FILE, "wrong_format_for_method"),
    ("preferences", {"model": MINI, "method": DPO}, OK, None),
    ("chat", {"model": MINI, "method": DPO}, WRONG_FILE, "wrong_format_for_method"),
]


def outcome(person: Person, **body: Any) -> tuple[int, str | None, str | None]:
    try:
        person.create_job(**body)
    except APIStatusError as refused:
        return facts(refused)
    return OK


@pytest.fixture
def files(alice: Person) -> dict[str, str]:
    """Checked files of three formats, by format, in a project whose account's models are known."""
    meet_the_base_models(alice)
    uploaded = {name: alice.upload(content) for name, content in FILES.items()}
    work()
    return uploaded


def test_a_job_that_cannot_succeed_is_refused_and_estimate_and_command_say_the_same(
    alice: Person, files: dict[str, str]
) -> None:
    work()
    for file, body, expected, finding in CASES:
        assert outcome(alice, training_file=files[file], **body) == expected, (file, body)
        asked = {"model": body["model"], "method": body.get("method", {"type": "supervised"})["type"]}
        found = alice.http.get(f"/datasets/{files[file]}/estimate", params=asked).json()["problems"]
        errors = [(400, each["code"], each["param"]) for each in found if each["severity"] == "error"]
        assert (errors or [OK])[0] == expected, (file, body)
        told = {problem.code for problem in check(BytesIO(FILES[file]), **asked).problems} & REFUSALS
        assert finding in told if finding else not told, (file, body, told)


def test_a_method_that_the_model_does_not_have_is_refused_also_while_no_list_is_known(alice: Person) -> None:
    assert outcome(alice, model="o4-mini", method=DPO) == (400, "invalid_value", "method")
    assert outcome(alice, model="gpt-4-0613", method=DPO) == (400, "invalid_value", "method")
    assert outcome(alice, model="my-own-model", method=DPO) == OK


def test_a_file_that_is_checked_later_fails_the_job_before_the_provider_sees_it(
    alice: Person, sandbox: Sandbox
) -> None:
    job_id = alice.create_job(training_file=alice.upload(FILES["preferences"]))
    work(3)
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert (job.status, sandbox.jobs()) == ("failed", [])
    assert job.error
    assert (job.error.code, job.error.param) == ("invalid_training_file", "training_file")


def test_a_validation_file_of_another_format_is_refused(alice: Person, files: dict[str, str]) -> None:
    found = outcome(alice, training_file=files["chat"], validation_file=files["pairs"])
    assert found == (400, "invalid_validation_file", "validation_file")


def test_only_the_models_that_the_operator_names_can_be_tuned(
    alice: Person, files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = get_settings().provider.model_copy(update={"base_models": ("gpt-4o-mini",)})
    monkeypatch.setattr(get_settings(), "__dict__", {**get_settings().__dict__, "provider": provider})
    assert outcome(alice, training_file=files["chat"], model="gpt-4.1-mini") == UNAVAILABLE
    assert outcome(alice, training_file=files["chat"], model=MINI) == OK


def announce(shutdown_date: str | None) -> None:
    """Let the provider's list have one base, which stops on this day."""
    [credential_id] = ids(Credential)
    listed = {"id": MINI, "created": 1, "owned_by": "", "shutdown_date": shutdown_date}
    change(Credential, credential_id, base_models=[listed])


@pytest.mark.parametrize(("day", "days"), [("2026-11-30", 1), ("2027-01-14", 46), ("2027-02-27", 90)])
def test_a_base_that_stops_soon_is_told_in_the_events(
    alice: Person, files: dict[str, str], day: str, days: int
) -> None:
    announce(day)
    assert warnings(alice, alice.create_job(training_file=files["chat"], model=MINI)) == [
        f"The provider stops {MINI} on {day}, in {days} days, and what was tuned from it"
    ]


def warnings(person: Person, job_id: str) -> list[str]:
    return [event.message for event in person.openai.fine_tuning.jobs.list_events(job_id) if event.level == "warn"]


def test_a_base_that_stays_is_not_warned_of(alice: Person, files: dict[str, str]) -> None:
    announce("2027-02-28")
    assert warnings(alice, alice.create_job(training_file=files["chat"], model=MINI)) == []


def test_a_published_day_is_a_warning_where_the_list_has_none(alice: Person, files: dict[str, str]) -> None:
    announce(None)
    [warning] = warnings(alice, alice.create_job(training_file=files["chat"], model=MINI))
    assert "stops gpt-4o-mini-2024-07-18 on 2027-01-14, in 46 days" in warning


def test_what_the_list_says_of_a_date_counts(alice: Person, files: dict[str, str]) -> None:
    for day, expected in (("2026-11-29", UNAVAILABLE), ("2030-01-01", OK), ("soon", OK), (None, OK)):
        announce(day)
        assert outcome(alice, training_file=files["chat"], model="gpt-4o-mini") == expected


def test_a_base_that_the_provider_offers_without_a_date_can_be_tuned_on_any_day(
    alice: Person, files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitness, "today", lambda: date(2031, 1, 1))  # OpenAI has stopped them all, the sandbox has not
    for model in ("gpt-4o-mini", "gpt-4o", "gpt-4.1", "gpt-4.1-mini"):
        assert warnings(alice, alice.create_job(training_file=files["chat"], model=model)) == []
    assert outcome(alice, training_file=files["chat"], model="gpt-4.1-nano") == UNAVAILABLE


def test_a_checkpoint_is_a_model_and_a_base_until_the_provider_drops_it(alice: Person, sandbox: Sandbox) -> None:
    job_id = alice.create_job(hyperparameters={"n_epochs": 6})
    theirs = work_until_created(job_id)
    sandbox.move(theirs, status="running", step=13)
    work()
    [early] = [each.fine_tuned_model_checkpoint for each in alice.openai.fine_tuning.jobs.checkpoints.list(job_id)]
    assert alice.openai.models.retrieve(early).id == early
    assert outcome(alice, model=early) == OK
    sandbox.move(theirs, status="succeeded")
    work()
    alive = {each.fine_tuned_model_checkpoint for each in sandbox.openai.fine_tuning.jobs.checkpoints.list(theirs)}
    assert early not in alive
    for each in alice.openai.fine_tuning.jobs.checkpoints.list(job_id):
        name = each.fine_tuned_model_checkpoint
        found = alice.http.get(f"/models/{name}")
        assert (found.status_code == 200) == (name in alive)
        assert outcome(alice, model=name) == (OK if name in alive else (404, "model_not_found", "model"))


def test_a_model_tuned_from_a_stopped_base_is_no_base(alice: Person, sandbox: Sandbox) -> None:
    meet_the_base_models(alice)
    name = model_of(train(alice, sandbox))
    assert outcome(alice, model=name) == OK
    announce("2026-11-29")
    assert outcome(alice, model=name) == UNAVAILABLE
