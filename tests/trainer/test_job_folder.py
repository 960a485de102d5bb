"""A job's folder: its lines, its checkpoints and its lock, and the memory that it may take."""

import errno
import fcntl
import json
import math
import os
import resource
import struct
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trainer.job import folder_lock, settings
from trainer.job.checkpoints import Checkpoints, step_of
from trainer.job.failures import Failed, is_out_of_memory, refuse_what_went_astray
from trainer.job.lines import Lines
from trainer.job.memory import available, estimate, weights
from trainer.job.memory.estimate import Batch


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / "lines.jsonl").write_text('{"event": "valid", "step": 0}\n{"event": "st')
    lines = Lines(tmp_path)
    lines.write("valid", step=6)
    assert lines.steps_of("valid") == {0, 6}


def test_a_line_that_a_full_disk_broke_off_is_an_error_and_the_next_one_is_whole(tmp_path: Path) -> None:
    lines, (soft, hard) = Lines(tmp_path), resource.getrlimit(resource.RLIMIT_FSIZE)
    lines.write("valid", step=0)
    size = (tmp_path / "lines.jsonl").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            lines.write("valid", step=6)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "lines.jsonl").stat().st_size == size + 10
    lines.write("valid", step=12)
    assert lines.steps_of("valid") == {0, 12}


def test_the_newest_checkpoint_and_the_last_ends_of_epochs_stay(tmp_path: Path) -> None:
    for step in (3, 6, 9, 12, 14, 15):
        (tmp_path / f"step-{step}").mkdir()
    (tmp_path / "step-x").mkdir()
    checkpoints = Checkpoints(tmp_path, steps_per_epoch=6, keep_epochs=1)
    checkpoints.prune()
    assert checkpoints.steps() == [12, 15]
    assert step_of(checkpoints.newest()) == 15


def test_a_folder_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    written = checkpoints.partial / "checkpoint-3"
    written.mkdir(parents=True)
    (written / "adapter_config.json").write_text('{"base_model_name_or_path": "/home/someone/base"}')
    (written / "training_args.bin").touch()
    checkpoints.publish(written, "step-3", "small")
    assert [path.name for path in (tmp_path / "step-3").iterdir()] == ["adapter_config.json"]
    assert json.loads((tmp_path / "step-3" / "adapter_config.json").read_text()) == {"base_model_name_or_path": "small"}


def test_the_next_process_waits_until_the_one_before_has_left(tmp_path: Path) -> None:
    before = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(before, fcntl.LOCK_EX)
    threading.Timer(0.3, os.close, [before]).start()
    assert folder_lock.hold(tmp_path)


def base(folder: Path, **config: Any) -> Path:
    """A base of three weights, of which one would be adapted; no numbers follow the head of its file."""
    shapes = {
        "model.embed_tokens.weight": [100, 8],
        "model.layers.0.mlp.up_proj.weight": [32, 8],
        "model.norm.weight": [8],
    }
    head = json.dumps({name: {"shape": shape} for name, shape in shapes.items()} | {"__metadata__": {}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head)
    given = {"hidden_size": 8, "intermediate_size": 32, "num_hidden_layers": 1} | config
    (folder / "config.json").write_text(json.dumps(given))
    return folder


def job(folder: Path, **options: Any) -> settings.Job:
    fields = {"id": "j", "base": str(folder), "train": "t", "batch_size": 4, "options": options}
    (folder / "job.json").write_text(json.dumps(fields))
    return settings.read(folder)


def test_shapes_are_read_from_the_files_heads(tmp_path: Path) -> None:
    shapes = weights.shapes(base(tmp_path))
    assert weights.parameters(shapes) == 100 * 8 + 32 * 8 + 8
    assert weights.adapter_parameters(shapes, "all-linear", 4) == 4 * (32 + 8)
    assert weights.adapter_parameters(shapes, ["q_proj"], 4) == 0


def test_a_job_that_cannot_fit_is_refused_before_it_loads(tmp_path: Path) -> None:
    asked = job(base(tmp_path, hidden_size=10**6, num_hidden_layers=1000))
    with pytest.raises(Failed) as failed:
        estimate.refuse_what_cannot_fit(asked, Batch(rows=4, longest=2000, learnt=800))
    assert failed.value.code == "out_of_memory"
    assert "This job needs about" in failed.value.message
    assert "GiB of memory is free" in failed.value.message
    assert "Try a smaller batch_size (4 now), a smaller max_length (2000 tokens now), a smaller rank (16 now)" in str(
        failed.value
    )


def test_a_job_that_fits_is_not_refused(tmp_path: Path) -> None:
    estimate.refuse_what_cannot_fit(job(base(tmp_path)), Batch(rows=4, longest=20, learnt=8))


def test_processes_on_cpus_share_their_memory(tmp_path: Path) -> None:
    asked = job(base(tmp_path, hidden_size=10**6, num_hidden_layers=1000))
    with pytest.raises(Failed) as failed:
        estimate.refuse_what_cannot_fit(replace(asked, devices=("cpu", "cpu")), Batch(rows=2, longest=2000, learnt=400))
    assert failed.value.message.startswith("Each of the 2 processes of this job needs about")
    assert "provider_options.shard" in failed.value.message
    several = replace(job(base(tmp_path), full=True), devices=("cpu", "cpu"))
    assert estimate.of(several, Batch(rows=1, longest=1, learnt=1)).trained == (16 + 4) * (100 * 8 + 32 * 8 + 8)


def test_full_tuning_takes_more_than_an_adapter(tmp_path: Path) -> None:
    batch = Batch(rows=1, longest=1, learnt=1)
    few, all_of_them = (estimate.of(job(base(tmp_path), full=full), batch) for full in (False, True))
    assert (few.trained, all_of_them.trained) == (16 * 16 * (32 + 8), 16 * (100 * 8 + 32 * 8 + 8))


def test_the_free_memory_is_known() -> None:
    room = available.of_host()
    assert room is not None
    assert room > 2**20


def test_numbers_that_are_not_finite_end_the_job() -> None:
    refuse_what_went_astray(3, 0.5, 1.0, 2.0)
    for value in (math.nan, math.inf):
        with pytest.raises(Failed, match=r"after step 3: training went astray. Lower the learning rate \(0.5 now\)"):
            refuse_what_went_astray(3, 0.5, 1.0, value)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ImportError("libtorch_cpu.so: failed to map segment: Cannot allocate memory"), True),
    ],
)
def test_memory_that_ran_out_is_recognised(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected
