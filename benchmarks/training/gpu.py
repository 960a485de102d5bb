"""What a GPU makes of the jobs: bfloat16, four bits, and a base of a billion parameters."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.training import two_ways
from benchmarks.training.bench import REAL, Row, finished, metrics, real_trainer
from tests.trainer import environment
from tests.trainer.trainer_process import Trainer

WHATS = ("bfloat16, 135 M parameters", "4 bits, 135 M parameters", "bfloat16, 1 B parameters", "4 bits, 1 B parameters")
TARGET = "the job succeeds"
VLLM = ("answers from vLLM", "", "the trainer has no engine on vLLM")


def rows(source: str) -> Iterator[Row]:
    if not shutil.which("nvidia-smi"):
        yield from ((what, TARGET, "no GPU here: not measured") for what in WHATS)
        yield VLLM
        return
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "large"
        for name in (source, str(large)):
            with real_trainer(name, devices="cuda:0") as trainer:
                yield from _jobs(trainer, "135 M parameters" if name == source else "1 B parameters")
                if not large.exists():
                    _make_large(large, trainer)
    yield VLLM


def _make_large(folder: Path, trainer: Trainer) -> None:
    small = json.loads((trainer.folder / "bases" / REAL / "base.json").read_text())["folder"]
    program = environment.ROOT / "benchmarks" / "training" / "large_base.py"
    subprocess.run([environment.python(), program, folder, small], check=True)


def _jobs(trainer: Trainer, size: str) -> Iterator[Row]:
    has_four_bits = subprocess.run(
        [environment.python(), "-c", "import bitsandbytes"], check=False, capture_output=True
    )
    for name, options in (("bfloat16", {}), ("4 bits", {"quantization": "4bit"})):
        if options and has_four_bits.returncode != 0:
            yield f"{name}, {size}", TARGET, "not measured: bitsandbytes is not in the trainer's environment"
        else:
            yield f"{name}, {size}", TARGET, _ran(trainer, options)


def _ran(trainer: Trainer, options: dict[str, Any]) -> str:
    train, _ = two_ways.pairs()
    data = trainer.upload(raw=two_ways.packed(two_ways.both_ways(train)))
    began = time.monotonic()
    job = finished(trainer, trainer.job(model=REAL, training_file=data, epochs=2, options={"rank": 16, **options}))
    losses = metrics(trainer, job, "train_loss")
    lines = (trainer.job_folder(job) / "lines.jsonl").read_text().splitlines()
    peak = json.loads(lines[-1])["peak_bytes"] / 2**30
    return (
        f"{len(losses)} steps in {time.monotonic() - began:.0f} s, loss {losses[1]:.2f} → {losses[max(losses)]:.2f}, "
        f"peak {peak:.1f} GiB"
    )
