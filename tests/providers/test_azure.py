"""What only Azure does: two addresses, types of training, files that fail late, open bases, models to be deployed."""

from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from openai import AzureOpenAI, DefaultHttpxClient, NotFoundError, OpenAI

from shared.jobs.models import JobStatus
from tests.providers.openai_wires import AZURE, AZURE_PROJECT
from tests.providers.stand_ins import EXPIRY, LONG_AGO, STAND_INS, Far, StandIn
from tests.world import lines, official_sdk
from worker.providers.errors import ProviderError

OPEN = "gpt-oss-20b"
RESOURCE, PROJECT = (next(each for each in STAND_INS if each.name == at["name"]) for at in (AZURE, AZURE_PROJECT))


@pytest.fixture
def stand_in() -> StandIn:
    return RESOURCE


@pytest.fixture
def azure(far: Far) -> Far:
    return far


at_both = pytest.mark.parametrize("stand_in", [RESOURCE, PROJECT], ids=["resource", "project"])
at_a_project = pytest.mark.parametrize("stand_in", [PROJECT], ids=["project"])


def switch(azure: Far, **switches: Any) -> None:
    azure.sandbox.http.post("/sandbox/azure", json=switches).raise_for_status()


def shown(azure: Far, path: str) -> dict[str, Any]:
    found: dict[str, Any] = azure.sandbox.http.get(f"{azure.stand_in.base}{path}").raise_for_status().json()
    return found


def word(azure: Far, job_id: str) -> str:
    """What the wire says of the job's status."""
    return str(shown(azure, f"/fine_tuning/jobs/{job_id}")["status"])


def refused(call: Callable[[], object]) -> ProviderError:
    with pytest.raises(ProviderError) as refusal:
        call()
    assert not refusal.value.effect_unknown
    return refusal.value


@at_both
def test_a_job_goes_through_words_that_openai_has_not(azure: Far) -> None:
    job = azure.job()
    words = [word(azure, job.id)]
    azure.sandbox.move(job.id, status="queued")
    words.append(word(azure, job.id))
    azure.sandbox.move(job.id, status="running")
    words.append(azure.provider.pause_job(job.id).provider_status)
    words.append(word(azure, job.id))
    words.append(azure.provider.resume_job(job.id).provider_status)
    words.append(azure.provider.cancel_job(job.id).provider_status)
    assert words == ["pending", "notRunning", "pausing", "paused", "resuming", "canceled"]


@pytest.mark.parametrize("slowly", [True, False])
def test_a_job_that_is_being_paused_still_runs(azure: Far, slowly: bool) -> None:
    switch(azure, pauses_slowly=slowly)
    job = azure.running_job()
    assert azure.provider.pause_job(job.id).status is JobStatus.RUNNING
    assert azure.provider.get_job(job.id).status is (JobStatus.RUNNING if slowly else JobStatus.PAUSED)


@pytest.mark.parametrize("suffix", ["tutor", None])
def test_a_tuned_model_has_the_name_of_its_base_and_job_and_can_be_tuned_again(azure: Far, suffix: str | None) -> None:
    job = azure.running_job(suffix=suffix)
    azure.sandbox.move(job.id, status="succeeded")
    name = azure.provider.get_job(job.id).fine_tuned_model or ""
    assert name == f"{RESOURCE.model}.ft-{job.id.removeprefix('ftjob-')}{f'-{suffix}' if suffix else ''}"
    assert any(listed["id"] == name for listed in shown(azure, "/models")["data"])
    assert not any(".ft-" in model.id for model in azure.provider.list_base_models())
    assert azure.job("ftjob-2", model=name, is_tuned=True).model == name


def test_open_bases_are_offered_though_the_list_says_that_they_are_not_tuned(azure: Far) -> None:
    says = {raw["id"]: raw["capabilities"]["fine_tune"] for raw in shown(azure, "/models")["data"]}
    offered = {model.id: model.is_tunable for model in azure.provider.list_base_models()}
    assert {name for name in offered if offered[name] != says[name]} == {
        OPEN,
        "Llama-3.3-70B-Instruct",
        "Ministral-3B",
        "Qwen-32B",
    }
    assert not offered["gpt-3.5-turbo-instruct"]


@pytest.mark.parametrize(("says", "offered"), [(True, True), (False, False), (None, True), ("no", True)])
def test_what_the_list_says_of_a_model_goes_before_what_its_name_says(azure: Far, says: Any, offered: bool) -> None:
    able = {"id": "gpt-4o-2026-01-01", "capabilities": {"fine_tune": says}}
    bare = {"id": "gpt-4o-mini", "capabilities": None}
    azure.answer("list_base_models", {"object": "list", "data": [able, bare]})
    assert [model.is_tunable for model in azure.provider.list_base_models()] == [offered, True]


@pytest.mark.parametrize("sent", ["GlobalStandard", "globalstandard", 1])
def test_a_training_type_goes_to_the_top_and_an_open_base_needs_the_global_one(azure: Far, sent: str | int) -> None:
    job = azure.job(model=OPEN, provider_options={"trainingType": sent})
    assert shown(azure, f"/fine_tuning/jobs/{job.id}")["trainingType"] == sent


@pytest.mark.parametrize("options", [{}, {"trainingType": "Standard"}, {"trainingType": "developerTier"}], ids=str)
def test_an_open_base_without_the_global_type_is_refused_in_words(azure: Far, options: dict[str, Any]) -> None:
    error = refused(lambda: azure.job(model=OPEN, provider_options=options))
    assert (error.code, error.param, error.retryable) == ("invalidPayload", "model", False)
    assert "globalStandard" in error.message
    assert azure.job("ftjob-2", provider_options=options).id


@pytest.mark.parametrize("is_taken", [True, False])
def test_where_no_training_type_is_taken_a_job_that_names_one_is_refused(azure: Far, is_taken: bool) -> None:
    switch(azure, takes_training_type=is_taken)
    new = azure.new_job(provider_options={"trainingType": "GlobalStandard"})
    if is_taken:
        assert azure.provider.create_job(new).id
        return
    error = refused(lambda: azure.provider.create_job(new))
    assert (error.code, error.param, error.retryable) == ("unknown_parameter", "trainingType", False)
    assert azure.job("ftjob-2").id


@at_both
@pytest.mark.parametrize("param", ["training_file", "validation_file"])
def test_a_file_whose_import_has_failed_fails_the_job_in_azures_words(azure: Far, param: str) -> None:
    good = azure.file().id
    switch(azure, whole_file_fails_above=len(lines()))
    bad = azure.file(lines(13)).id
    values = {"training_file": good, param: bad}
    error = refused(lambda: azure.job(**values))
    assert (error.code, error.param, error.retryable) == (f"invalid_{param}", param, False)
    assert "The file could not be imported" in error.message
    assert azure.job("ftjob-2", training_file=good).id


def test_a_large_file_that_comes_in_parts_does_not_fail_late(azure: Far) -> None:
    switch(azure, whole_file_fails_above=10)
    upload_id = azure.provider.create_upload("a.jsonl", len(lines()), EXPIRY)
    file = azure.provider.complete_upload(upload_id, [azure.provider.create_part(upload_id, BytesIO(lines()))])
    assert azure.job(training_file=file.id).training_file == file.id


def test_a_job_waits_for_a_file_that_is_being_imported(azure: Far) -> None:
    switch(azure, imports_files=False)
    new = azure.new_job()
    error = refused(lambda: azure.provider.create_job(new))
    assert (error.code, error.param, error.retryable) == ("file_not_ready", "training_file", True)
    switch(azure)
    assert azure.provider.create_job(new).id


def test_a_refusal_stays_what_it_is_if_the_file_cannot_be_looked_at(azure: Far) -> None:
    azure.fault("file_name", status=503)
    assert refused(lambda: azure.job(model=OPEN)).code == "invalidPayload"


def test_a_refusal_that_is_not_about_files_stays_what_it_is(azure: Far) -> None:
    assert refused(lambda: azure.job(model="gpt-never")).code == "model_not_available"


@at_a_project
def test_a_project_takes_files_whole_and_refuses_parts_in_words_and_for_good(azure: Far) -> None:
    assert azure.job().id
    error = refused(lambda: azure.provider.create_upload("a.jsonl", 200_000_000, timedelta()))
    assert (error.code, error.retryable) == ("unsupported_by_provider", False)
    assert "200000000 bytes" in error.message
    assert "https://RESOURCE.openai.azure.com/openai/v1" in error.message


@pytest.mark.parametrize(("status", "code"), [(503, "provider_error_503"), (400, "provider_error_400")])
def test_another_refusal_of_an_upload_stays_what_it_is(azure: Far, status: int, code: str) -> None:
    azure.fault("create_upload", status=status)
    with pytest.raises(ProviderError) as refusal:
        azure.provider.create_upload("a.jsonl", 10, EXPIRY)
    assert (refusal.value.code, refusal.value.retryable) == (code, status == 503)


def azures_sdk(base_url: str, api_key: str) -> AzureOpenAI:
    """It sends an `api-version`."""
    without_tls = DefaultHttpxClient(verify=False)
    return AzureOpenAI(
        base_url=base_url, api_key=api_key, api_version="2025-04-01-preview", max_retries=0, http_client=without_tls
    )


@at_both
@pytest.mark.parametrize("make", [official_sdk, azures_sdk])
def test_openais_sdk_makes_the_calls_of_azures_guides(azure: Far, make: Callable[[str, str], OpenAI]) -> None:
    switch(azure, takes_training_type=make is official_sdk)
    with make(f"{azure.sandbox.address}{azure.stand_in.base}", "sk-sandbox") as sdk:
        _make_the_calls(azure, sdk)


def _make_the_calls(azure: Far, sdk: OpenAI) -> None:
    assert OPEN in [model.id for model in sdk.models.list()]
    file = sdk.files.create(file=("train.jsonl", lines()), purpose="fine-tune")
    assert [str(file.status), sdk.files.retrieve(file.id).status] == ["pending", "processed"]
    jobs = sdk.fine_tuning.jobs
    more = {"trainingType": "globalStandard"}
    job = jobs.create(model=OPEN, training_file=file.id, suffix="tutor", metadata={"a": "b"}, extra_body=more)
    assert [each.id for each in jobs.list(metadata={"a": "b"})] == [job.id]
    assert jobs.list_events(job.id).data
    azure.sandbox.move(job.id, status="running")
    answers: list[Any] = [jobs.pause(job.id), jobs.resume(job.id)]
    assert [answer.status for answer in answers] == ["pausing", "resuming"]
    azure.sandbox.move(job.id, status="succeeded")
    tuned = jobs.retrieve(job.id)
    assert next(iter(jobs.checkpoints.list(job.id))).fine_tuned_model_checkpoint == tuned.fine_tuned_model
    assert b"train_loss" in sdk.files.content(tuned.result_files[0]).content
    assert sdk.models.delete(str(tuned.fine_tuned_model)).deleted
    assert sdk.files.delete(file.id).deleted


@at_both
def test_a_tuned_model_that_is_not_deployed_answers_nobody(azure: Far) -> None:
    job = azure.running_job()
    azure.sandbox.move(job.id, status="succeeded")
    [ended] = azure.provider.list_jobs(LONG_AGO)
    question: Any = [{"role": "user", "content": "Question 7"}]
    with official_sdk(f"{azure.sandbox.address}{azure.stand_in.base}", "sk-sandbox") as sdk:
        assert sdk.chat.completions.create(model=RESOURCE.model, messages=question).choices
        with pytest.raises(NotFoundError) as refusal:
            sdk.chat.completions.create(model=str(ended.fine_tuned_model), messages=question)
    assert refusal.value.code == "DeploymentNotFound"


@at_a_project
def test_only_a_resource_has_uploads(azure: Far) -> None:
    body = {"filename": "a.jsonl", "purpose": "fine-tune", "bytes": 10, "mime_type": "text/jsonl"}
    statuses = [azure.sandbox.http.post(f"{at.base}/uploads", json=body).status_code for at in (RESOURCE, PROJECT)]
    assert statuses == [200, 404]
