"""What only Nebius does: rates that are no multipliers, marks in suffixes, progress as events, files of checkpoints."""

import csv
from datetime import timedelta
from typing import Any

import pytest

from shared.jobs.models import JobStatus
from shared.providers.capabilities import CAPABILITIES
from shared.providers.dialects import Dialect
from tests.providers.nebius import JOB_ID, NEBIUS, Nebius, done, shown, supervised
from tests.providers.stand_ins import LONG_AGO
from worker.providers.errors import ProviderError
from worker.providers.protocol import Mark


def test_a_job_trains_an_adapter_unless_all_weights_are_asked_for(nebius: Nebius) -> None:
    adapter, full = nebius.job("ftjob-1"), nebius.job("ftjob-2", provider_options={"full": True})
    assert shown(nebius, adapter.id)["hyperparameters"]["lora"] is True
    assert shown(nebius, full.id)["hyperparameters"]["lora"] is False


def test_hyperparameters_and_options_go_to_the_top_and_no_multiplier_with_them(nebius: Nebius) -> None:
    options = {"learning_rate": 2e-5, "lora_r": 16, "lora_alpha": 32, "packing": False, "context_length": 16384}
    method = supervised(n_epochs=4, batch_size="auto", learning_rate_multiplier="auto")
    job = nebius.job(method=method, provider_options=options)
    used = shown(nebius, job.id)["hyperparameters"]
    assert used.items() >= {**options, "n_epochs": 4, "batch_size": 8}.items()
    assert job.hyperparameters["learning_rate"] == 2e-5


def test_a_method_beside_hyperparameters_is_refused_there(nebius: Nebius) -> None:
    body = {"model": NEBIUS.model, "training_file": nebius.file().id, "hyperparameters": {}, "method": supervised()}
    refused = nebius.sandbox.http.post("/v1/fine_tuning/jobs", json=body)
    assert (refused.status_code, "Only one of" in refused.text) == (400, True)


@pytest.mark.parametrize("keeps_metadata", [True, False])
def test_a_job_is_found_by_metadata_or_by_its_suffix(nebius: Nebius, keeps_metadata: bool) -> None:
    nebius.sandbox.http.post("/sandbox/nebius", json={"keeps_metadata": keeps_metadata}).raise_for_status()
    made, _ = nebius.job(JOB_ID, suffix="acme-tutor"), nebius.job("ftjob-01m8bbbbbbbbbbbbbbbbbbbbbb")
    [found] = nebius.find_jobs(JOB_ID)
    all_ids = Mark(JOB_ID, "proj_ours", "org-ours")
    assert (found.id, found.mark) == (made.id, all_ids if keeps_metadata else Mark(JOB_ID, None, None))


@pytest.mark.parametrize("end", [{"status": 500}, {"status": 500, "after_effect": True}], ids=str)
def test_a_create_that_ends_with_500_is_looked_for_where_no_metadata_is_kept(
    nebius: Nebius, end: dict[str, Any]
) -> None:
    nebius.sandbox.http.post("/sandbox/nebius", json={"keeps_metadata": False}).raise_for_status()
    new = nebius.new_job(JOB_ID)
    nebius.fault("create_job", **end)
    with pytest.raises(ProviderError) as failure:
        nebius.provider.create_job(new)
    assert failure.value.effect_unknown
    assert len(nebius.find_jobs(JOB_ID)) == ("after_effect" in end)


def test_the_longest_suffix_fits_with_our_mark(nebius: Nebius) -> None:
    longest = "s" * CAPABILITIES[Dialect.NEBIUS].suffix_length
    job = nebius.job(JOB_ID, suffix=longest)
    assert len(shown(nebius, job.id)["suffix"]) == 64
    assert [each.id for each in nebius.find_jobs(JOB_ID)] == [job.id]


def test_a_suffix_of_somebody_else_is_no_mark(nebius: Nebius) -> None:
    body = {"model": NEBIUS.model, "training_file": nebius.file().id, "suffix": "my-own"}
    nebius.sandbox.http.post("/v1/fine_tuning/jobs", json=body).raise_for_status()
    [listed] = nebius.provider.list_jobs(LONG_AGO)
    assert listed.mark is None


def test_a_model_without_a_name_gets_one_at_the_end(nebius: Nebius) -> None:
    job = nebius.running_job(job_id=JOB_ID, suffix="tutor")
    assert nebius.provider.get_job(job.id).fine_tuned_model is None
    nebius.sandbox.move(job.id, status="succeeded")
    assert nebius.provider.get_job(job.id).fine_tuned_model == f"ft:{NEBIUS.model}:sandbox:tutor:{job.id[-8:]}"


def test_a_model_that_it_does_not_train_is_said_to_be_none(nebius: Nebius) -> None:
    with pytest.raises(ProviderError, match="value is not a valid enumeration member") as refusal:
        nebius.job(model="gpt-4o-mini")
    assert (refusal.value.code, refusal.value.param, refusal.value.retryable) == ("model_not_available", "model", False)


def test_progress_becomes_events_that_are_the_same_at_each_look(nebius: Nebius) -> None:
    job = nebius.running_job(method=supervised(n_epochs=2, batch_size=1))  # 24 steps
    nebius.sandbox.move(job.id, step=13)
    before = nebius.provider.new_events(job.id, None)
    assert before == nebius.provider.new_events(job.id, None)
    assert [event.message for event in before[:2]] == ["Job is submitted", "Dataset 'training' processed successfully"]
    assert before[-1].data is not None
    assert before[-1].data["step"] == 12
    [saved] = [event for event in before if event.type == "metrics"]
    assert saved.data is not None
    assert (saved.saves_checkpoint, saved.data["step"], saved.data["total_steps"]) == (True, 12, 24)
    assert saved.message == f"Step 12/24: training loss={saved.data['train_loss']:.2f}"


def test_all_events_of_a_job_that_has_ended_come_in_the_end(nebius: Nebius) -> None:
    """A late one of the provider's own is found then: the worker asks for all."""
    messages = [event.message for event in nebius.provider.new_events(done(nebius), None)]
    assert "Training completed successfully" in messages


def test_a_checkpoint_that_is_listed_later_than_the_steps_after_it_is_given(nebius: Nebius) -> None:
    job = nebius.running_job(method=supervised(n_epochs=2, batch_size=1))  # 24 steps
    nebius.sandbox.move(job.id, step=14)
    nebius.answer("checkpoints", {"object": "list", "data": [], "has_more": False})
    before = nebius.provider.new_events(job.id, None)
    assert before[-1].id == "step-14"
    later = nebius.provider.new_events(job.id, before[-1].id)
    [late] = [event for event in later if event not in before]
    assert (late.type, (late.data or {})["step"]) == ("metrics", 12)


def test_all_weights_and_an_adapters_options_exclude_each_other(nebius: Nebius) -> None:
    options = {"full": True, "lora_r": 16, "lora_alpha": 32, "packing": True}
    with pytest.raises(ProviderError, match="so lora_r, lora_alpha cannot be given") as refusal:
        nebius.job(provider_options=options)
    assert (refusal.value.code, refusal.value.param, refusal.value.retryable) == (
        "invalid_value",
        "provider_options",
        False,
    )
    assert nebius.provider.list_jobs(LONG_AGO) == []


def test_a_checkpoint_without_a_loss_is_no_point_of_a_curve(nebius: Nebius) -> None:
    job = nebius.running_job()
    nebius.sandbox.move(job.id, step=1)
    saved = {"id": "ftckpt_1", "step_number": 1, "metrics": {"train_loss": None}, "created_at": 1_800_000_000}
    nebius.answer("checkpoints", {"object": "list", "data": [saved], "has_more": False})
    [event] = [event for event in nebius.provider.new_events(job.id, None) if event.id == "ftckpt_1"]
    assert (event.type, event.saves_checkpoint, event.message) == ("message", True, "Step 1/6: a checkpoint was saved")


def test_the_results_are_a_curve_and_the_files_of_the_last_checkpoint(nebius: Nebius) -> None:
    job = nebius.provider.get_job(done(nebius, method=supervised(n_epochs=3, batch_size=4)))
    curve, *files = job.result_files
    table = list(csv.DictReader(b"".join(nebius.provider.read_file(curve)).decode().splitlines()))
    assert [row["step"] for row in table] == ["3", "6", "9"]
    assert all(float(row["train_loss"]) > 0 for row in table)
    names = [nebius.provider.file_name(file) for file in files]
    assert [name.rpartition("/")[2] for name in names] == ["adapter_config.json", "adapter_model.safetensors"]
    last = nebius.provider.checkpoints(job.id)[-1]
    assert all(last.id in name for name in names)


def test_a_job_ends_without_files_if_its_checkpoints_are_refused(nebius: Nebius) -> None:
    id = done(nebius)
    nebius.fault("checkpoints", status=403)
    assert nebius.provider.get_job(id).result_files == (f"curve-of-{id}",)


def test_a_job_ends_later_if_its_checkpoints_cannot_be_had_now(nebius: Nebius) -> None:
    id = done(nebius)
    nebius.fault("checkpoints", status=503)
    with pytest.raises(ProviderError) as failure:
        nebius.provider.get_job(id)
    assert failure.value.retryable


def test_trained_models_are_offered_that_its_list_does_not_have(nebius: Nebius) -> None:
    models = {model.id: model for model in nebius.provider.list_base_models()}
    assert models["Qwen/Qwen3-0.6B"].is_tunable
    assert not models["meta-llama/Meta-Llama-3.1-8B-Instruct"].is_tunable


def test_a_file_says_no_status_and_is_sent_whole(nebius: Nebius) -> None:
    raw = nebius.sandbox.http.get(f"/v1/files/{nebius.file().id}").json()
    assert (raw["status"], raw["id"].startswith("file-")) == (None, True)
    with pytest.raises(ProviderError) as refusal:
        nebius.provider.create_upload("a.jsonl", 6_000_000_000, timedelta())
    assert (refusal.value.code, refusal.value.retryable) == ("unsupported_by_provider", False)
    assert nebius.sandbox.http.post("/v1/uploads", json={}).status_code == 404


def test_its_first_status_is_running(nebius: Nebius) -> None:
    assert nebius.job().status is JobStatus.RUNNING


def test_openais_sdk_makes_the_calls_of_its_cookbook(nebius: Nebius) -> None:
    sdk = nebius.sandbox.openai
    file = sdk.files.create(file=("train.jsonl", b'{"messages": []}\n' * 12), purpose="fine-tune")
    rates: Any = {"n_epochs": 1, "learning_rate_multiplier": 2e-5, "lora": True, "lora_r": 16}
    job = sdk.fine_tuning.jobs.create(model="Qwen/Qwen3-0.6B", training_file=file.id, hyperparameters=rates)
    assert sdk.fine_tuning.jobs.retrieve(job.id).status == "running"
    assert shown(nebius, job.id)["hyperparameters"]["learning_rate"] == 2e-5
    assert [each.id for each in sdk.fine_tuning.jobs.list()] == [job.id]
    assert next(iter(sdk.fine_tuning.jobs.list_events(job.id))).message == "Job is submitted"
    assert sdk.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    assert list(sdk.fine_tuning.jobs.checkpoints.list(job.id)) == []
    assert sdk.models.list().data
    assert sdk.files.delete(file.id).deleted
