"""What only Fireworks AI does: datasets that are ready later, ids of ours, metrics in a file, states of its own."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.jobs.models import JobStatus, Level
from shared.providers.dialects import ADDRESSING, Dialect, Endpoint
from tests.providers.stand_ins import LONG_AGO, Far, far_of
from tests.world import Sandbox, lines
from worker.providers.errors import ProviderError
from worker.providers.fireworks import files, requests
from worker.providers.fireworks.parsing import STATUSES

PREFERENCES = (
    b'{"input": {"messages": [{"role": "user", "content": "Why?"}]}, "preferred_output": [{"role": "assistant",'
    b' "content": "So."}], "non_preferred_output": [{"role": "assistant", "content": "No."}]}\n'
) * 12
DPO = {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.2, "n_epochs": 2}}}


@pytest.fixture
def far(server: str, speaking: Callable[[str], Sandbox]) -> Iterator[Far]:
    with far_of(Dialect.FIREWORKS, speaking) as far:
        yield far


def switch(far: Far, **values: Any) -> None:
    far.sandbox.http.post("/sandbox/fireworks", json=values).raise_for_status()


def refusal_of(call: Callable[[], object]) -> ProviderError:
    with pytest.raises(ProviderError) as failure:
        call()
    return failure.value


def test_a_chat_goes_to_the_address_of_all_accounts() -> None:
    url = ADDRESSING[Dialect.FIREWORKS].url_of(Endpoint.CHAT, "https://api.fireworks.ai/v1/accounts/acme")
    assert url == "https://api.fireworks.ai/inference/v1/chat/completions"


@pytest.mark.parametrize("word", STATUSES)
@pytest.mark.parametrize("has_prefix", [True, False])
def test_each_state_has_a_meaning_with_and_without_its_prefix(far: Far, word: str, has_prefix: bool) -> None:
    job = far.job()
    far.fault("get_job", body={"state": f"JOB_STATE_{word}" if has_prefix else word})
    seen = far.provider.get_job(job.id)
    assert (seen.provider_status, seen.status) == (word, STATUSES[word])


@pytest.mark.parametrize("status", [409, 400, 500])
def test_a_second_create_gives_the_first_whatever_the_status_of_the_answer(far: Far, status: int) -> None:
    new = far.new_job("ftjob-1")
    first = far.provider.create_job(new)
    switch(far, exists_status=status)
    assert far.provider.create_job(new).id == first.id
    assert far.file().id == new.training_file
    assert len(far.provider.list_jobs(LONG_AGO)) == len(far.provider.list_files()) == 1


def test_ids_are_ours(far: Far) -> None:
    job = far.job("ftjob-01m8aaaaaaaaaaaaaaaaaaaaaa", suffix="Our Bot!")
    assert job.id == "supervisedFineTuningJobs/ftjob-01m8aaaaaaaaaaaaaaaaaaaaaa"
    far.sandbox.move(job.id, status="succeeded")
    name = far.provider.get_job(job.id).fine_tuned_model
    assert name == "accounts/sandbox/models/our-bot-ftjob-01m8aaaaaaaaaaaaaaaaaaaaaa"


def test_a_job_waits_until_its_dataset_is_ready(far: Far) -> None:
    switch(far, ready_after=3600)
    new = far.new_job()
    error = refusal_of(lambda: far.provider.create_job(new))
    assert (error.code, error.retryable, error.effect_unknown) == ("file_not_ready", True, False)
    switch(far)
    assert far.provider.create_job(new).training_file == new.training_file


def test_a_dataset_that_is_found_bad_fails_its_job_in_the_providers_words(far: Far) -> None:
    switch(far, late_failure=True)
    new = far.new_job(training_file=far.file(b'{"messages": []}\n').id)
    error = refusal_of(lambda: far.provider.create_job(new))
    assert (error.code, error.retryable, error.effect_unknown) == ("invalid_training_file", False, False)
    assert "'messages' must be a list" in error.message


@pytest.mark.parametrize("redirects", [0, 2])
def test_a_large_dataset_is_put_at_a_signed_address(far: Far, monkeypatch: pytest.MonkeyPatch, redirects: int) -> None:
    """The storage refuses a request with a key, and bytes that are not as many as announced."""
    monkeypatch.setattr(files, "MAX_FORM_BYTES", 100)
    switch(far, redirects=redirects)
    file = far.file(lines(50))
    assert far.provider.find_file(file.name, 1, LONG_AGO) == file
    assert b"".join(far.provider.read_file(file.id)) == lines(50)
    counted = far.sandbox.http.get("/sandbox/requests").json()["requests"]
    assert counted["PUT /storage/{what}"] == 1 + redirects


@pytest.mark.parametrize("end", [{"status": 403}, {"status": 500}, {"drop": "after"}, {"status": 307}], ids=str)
def test_no_error_names_a_signed_address(far: Far, monkeypatch: pytest.MonkeyPatch, end: dict[str, Any]) -> None:
    monkeypatch.setattr(files, "MAX_FORM_BYTES", 100)
    far.sandbox.arm("PUT", "/storage/**", times=9, **end)
    error = refusal_of(far.file)
    assert "storage" in error.message
    assert "Signature" not in f"{error!r}{error.message}{error.__cause__!r}"


def test_a_preference_job_is_of_another_kind(far: Far) -> None:
    job = far.job(training_file=far.file(PREFERENCES).id, method=DPO)
    assert job.id == "dpoJobs/ftjob-ours"
    assert (job.hyperparameters["beta"], job.hyperparameters["n_epochs"]) == (0.2, 2)
    assert [each.id for each in far.provider.find_jobs("ftjob-ours", LONG_AGO, "")] == [job.id]
    far.sandbox.move(job.id, status="succeeded")
    [page] = far.provider.job_pages()
    assert [each.id for each in page] == [job.id]
    assert b"train_loss" in b"".join(far.provider.read_file(job.id))
    assert {event.type for event in far.provider.new_events(job.id, None)} == {"message", "metrics"}


def test_jobs_of_both_kinds_are_listed_together_newest_first(far: Far) -> None:
    far.job("ftjob-1")
    far.job("ftjob-2", training_file=far.file(PREFERENCES, "file-b.jsonl").id, method=DPO)
    switch(far, keeps_order=False)
    assert {job.id.rpartition("/")[2] for job in far.provider.list_jobs(LONG_AGO)} == {"ftjob-1", "ftjob-2"}


WANTED: list[tuple[dict[str, Any], str]] = [
    ({"method": {"type": "reinforcement"}}, "method"),
    ({"method": DPO, "validation_file": "file-b"}, "validation_file"),
    ({"method": DPO, "provider_options": {"early_stop": True}}, "provider_options.early_stop"),
    ({"integrations": [{"type": "wandb", "wandb": {"project": "p", "tags": ["t"]}}]}, "integrations"),
]


@pytest.mark.parametrize(("values", "param"), WANTED)
def test_what_it_cannot_do_is_refused(far: Far, values: dict[str, Any], param: str) -> None:
    error = refusal_of(lambda: far.job(training_file="file-a", **values))
    assert (error.code, error.param, error.retryable) == ("unsupported_by_provider", param, False)
    assert far.provider.list_jobs(LONG_AGO) == []


def test_options_are_sent_by_its_names_and_a_tuned_model_is_tuned_further(far: Far) -> None:
    options = {"learning_rate": 0.0002, "rank": 16, "max_length": 4096, "warmup_steps": 5, "weight_decay": 0.1}
    wandb = [{"type": "wandb", "wandb": {"project": "p", "entity": None, "name": None, "tags": None}}]
    first = far.job("ftjob-1", provider_options=options | {"early_stop": True}, integrations=wandb)
    [raw] = far.raw_jobs()
    sent = {"learningRate": 0.0002, "loraRank": 16, "maxContextLength": 4096, "earlyStop": True}
    assert raw.items() >= sent.items()
    assert raw["wandbConfig"] == {"enabled": True, "project": "p"}
    far.sandbox.move(first.id, status="succeeded")
    ended = far.provider.get_job(first.id)
    assert ended.cost is not None
    assert 0 < ended.cost < 1
    assert ended.provider_status == "EARLY_STOPPED"
    second = far.job("ftjob-2", model=ended.fine_tuned_model, is_tuned=True)
    assert second.model == ended.fine_tuned_model
    assert any("warmStartFrom" in raw for raw in far.raw_jobs())


def test_only_a_model_that_is_known_to_be_the_projects_is_tuned_further(far: Far) -> None:
    name = "accounts/sandbox/models/somebody-elses"
    _, body = requests.creation(far.new_job(model=name, training_file="file-a"), "sandbox")
    assert "warmStartFrom" not in body


@pytest.mark.parametrize("form", ["jsonl", "csv", "nested"])
def test_metrics_are_read_in_each_form(far: Far, form: str) -> None:
    switch(far, metrics=form)
    job = far.running_job()
    far.sandbox.move(job.id, step=5)
    events = far.provider.new_events(job.id, None)
    metrics = [event.data for event in events if event.type == "metrics"]
    assert [each["step"] for each in metrics if each] == [1, 2, 3, 4, 5]
    assert all(0 < each["train_loss"] < 10 for each in metrics if each)
    assert far.provider.new_events(job.id, events[-1].id) == events  # a metric of before may come yet


def test_without_metrics_the_percentage_is_told(far: Far) -> None:
    switch(far, signs_metrics=False)
    job = far.running_job()
    far.sandbox.move(job.id, step=20)
    [progress] = [event.data for event in far.provider.new_events(job.id, None) if event.data]
    assert progress["total_steps"] == 100
    assert 0 < progress["step"] < 100


def test_metrics_that_the_storage_refuses_keep_no_job_from_ending(far: Far) -> None:
    job = far.running_job()
    far.sandbox.move(job.id, status="failed", error={"code": "invalid_training_file", "message": "Bad line 7."})
    far.sandbox.arm("GET", "/storage/**", status=403)
    *_, ended = far.provider.new_events(job.id, None)
    assert (ended.message, ended.level) == ("Bad line 7.", Level.ERROR)


def test_a_lack_of_money_ends_a_job_with_a_code_about_money(far: Far) -> None:
    job = far.running_job()
    far.sandbox.move(job.id, status="failed", error={"code": "exceeded_quota", "message": "Spend limit reached."})
    error = far.provider.get_job(job.id).error
    assert error is not None
    assert (error.code, error.message) == ("insufficient_quota", "Spend limit reached.")


def test_a_cancel_is_seen_later(far: Far) -> None:
    job = far.running_job()
    assert far.provider.cancel_job(job.id).provider_status == "CANCELLING"
    assert far.provider.get_job(job.id).status is JobStatus.CANCELLED


def test_a_job_that_the_provider_has_paused_is_resumed(far: Far) -> None:
    job = far.running_job()
    far.sandbox.move(job.id, status="paused")
    paused = far.provider.new_events(job.id, None)
    assert paused[-1].message == "The job is paused"
    switch(far, requeued=True)
    assert far.provider.resume_job(job.id).provider_status == "RE_QUEUEING"


def test_an_empty_object_is_no_empty_list(far: Far) -> None:
    assert far.provider.list_files() == []
    switch(far, says_empty=False)
    assert refusal_of(far.provider.list_files).code == "provider_unavailable"
