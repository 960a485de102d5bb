"""What `job.json` may say. Reading it needs nothing of the trainer's environment."""

import json
from pathlib import Path
from typing import Any

import pytest

from trainer.job import settings
from trainer.job.failures import Failed

GOOD: dict[str, Any] = {
    "id": "ftjob-1",
    "method": "supervised",
    "base": "/bases/small",
    "train": "/files/train.jsonl",
    "learning_rate": 1e-3,
}


def read(folder: Path, fields: dict[str, Any]) -> settings.Job:
    (folder / "job.json").write_text(json.dumps(fields))
    return settings.read(folder)


def test_what_is_left_out_has_a_value(tmp_path: Path) -> None:
    job = read(tmp_path, GOOD)
    assert (job.method, job.base_name, job.model, job.devices) == ("supervised", "small", "ftjob-1", ("cpu",))
    assert (job.options.rank, job.options.targets, job.options.max_length, job.options.full) == (
        16,
        "all-linear",
        None,
        False,
    )


def test_each_field_is_read(tmp_path: Path) -> None:
    options = {"rank": 4, "alpha": 8, "dropout": 0.1, "targets": ["q_proj"], "max_length": 64, "quantization": "4bit"}
    job = read(
        tmp_path, GOOD | {"method": "dpo", "from_adapter": "/jobs/a/step-3", "valid": "/v.jsonl", "options": options}
    )
    assert (job.method, job.from_adapter, job.valid) == ("dpo", Path("/jobs/a/step-3"), Path("/v.jsonl"))
    assert job.options == settings.Options(4, 8.0, 0.1, ["q_proj"], 64, "4bit", False, 0.1)


@pytest.mark.parametrize(
    ("changed", "sentence", "param"),
    [
        ({"method": "reinforcement"}, 'method is "reinforcement", but it must be "supervised" or "dpo".', "method"),
        ({"n_epochs": 0}, "n_epochs is 0, but it must be a whole number from 1 to 10000.", "n_epochs"),
        ({"batch_size": True}, "batch_size is true, but it must be a whole number", "batch_size"),
        ({"learning_rate": 0}, "learning_rate is 0, but it must be a number above 0 to 10.", "learning_rate"),
        ({"train": None}, "train is null, but it must be a text.", "train"),
        (
            {"options": {"rank": "8"}},
            'provider_options.rank is "8", but it must be a whole number',
            "provider_options.rank",
        ),
        (
            {"options": {"dropout": 1.0}},
            "provider_options.dropout is 1.0, but it must be a number from 0 to 0.99",
            "provider_options.dropout",
        ),
        ({"options": {"quantization": "8bit"}}, 'it must be null or "4bit"', "provider_options.quantization"),
        (
            {"options": {"targets": []}},
            'it must be "all-linear" or a list of names of modules',
            "provider_options.targets",
        ),
        ({"options": {"targets": ["lm_head"]}}, "a list without lm_head", "provider_options.targets"),
        ({"device": "gpu"}, 'device is "gpu", but it must be cpu, a GPU such as cuda:0, or several', "device"),
        ({"device": "cpu+cuda:0"}, 'device is "cpu+cuda:0", but it must be', "device"),
        (
            {"options": {"packing": 1}},
            "provider_options.packing is 1, but it must be true or false.",
            "provider_options.packing",
        ),
        ({"options": []}, None, None),
        ({"options": [1]}, "options is [1], but it must be an object.", "options"),
    ],
)
def test_wrong_values_are_refused(
    changed: dict[str, Any], sentence: str | None, param: str | None, tmp_path: Path
) -> None:
    if sentence is None:
        assert read(tmp_path, GOOD | changed).options.rank == 16
        return
    with pytest.raises(Failed) as failed:
        read(tmp_path, GOOD | changed)
    assert sentence in failed.value.message
    assert (failed.value.code, failed.value.param) == ("invalid_value", param)


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_what_is_no_job_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(text)
    with pytest.raises(Failed, match=r"job\.json (cannot be read|is not an object)"):
        settings.read(tmp_path)


def test_a_job_on_several_devices_has_a_process_for_each(tmp_path: Path) -> None:
    job = read(tmp_path, GOOD | {"device": "cuda:2+cuda:3", "threads": 5, "batch_size": 5})
    assert (job.devices, job.device, job.on_gpu) == (("cuda:2", "cuda:3"), "cuda", True)
    assert (job.threads_of_a_process, job.rows_of_a_process) == (2, 3)
