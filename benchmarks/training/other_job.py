"""The training process beside another program that does the same job: seconds, CPU seconds, losses.

`sketch`: a program that is given a folder with a `job.json` of other names, and writes `metrics.jsonl` there. It is run
in the trainer's environment, with the same numbers as the trainer chooses on this machine (bfloat16 or float32).
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.training.bench import Row
from tests.trainer import environment, jobs
from trainer.environment import variables
from trainer.job.precision import has_bfloat16

EXAMPLES = environment.ROOT / "examples"
SAME: dict[str, Any] = {
    "method": "supervised",
    "from_adapter": None,
    "train": str(EXAMPLES / "sailor-train.jsonl"),
    "valid": str(EXAMPLES / "sailor-valid.jsonl"),
    "seed": 7,
    "batch_size": 4,
    "threads": 2,
}
IN_FLOAT32 = """
import runpy, sys, torch, transformers
load = transformers.AutoModelForCausalLM.from_pretrained
transformers.AutoModelForCausalLM.from_pretrained = lambda *a, **given: load(*a, **given | {"dtype": torch.float32})
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@dataclass(frozen=True)
class Ran:
    seconds: float
    cpu_seconds: float
    losses: list[float]
    """Of validation: before the first step, and after each epoch."""


def rows(base: str, sketch: str | None) -> Iterator[Row]:
    what = "seconds beside the sketch"
    if sketch is None:
        yield what, "≤ 1.1 ×", "not measured: name it with --sketch"
        return
    if not Path(base).is_dir():
        yield what, "≤ 1.1 ×", "not measured: --base must be a folder"
        return
    with tempfile.TemporaryDirectory() as folder:
        theirs = _theirs(Path(folder) / "theirs", base, Path(sketch).resolve())
        ours = _ours(Path(folder) / "ours", base)
    figures = f"{ours.seconds:.1f} against {theirs.seconds:.1f} s: {ours.seconds / theirs.seconds:.2f} ×"
    yield what, "≤ 1.1 ×", figures
    cpu = f"{ours.cpu_seconds:.1f} against {theirs.cpu_seconds:.1f} s: {ours.cpu_seconds / theirs.cpu_seconds:.2f} ×"
    yield "CPU seconds beside the sketch", "≤ 1.1 ×", cpu
    yield "held-out loss, ours and the sketch's", "the same", f"{_told(ours.losses)}; {_told(theirs.losses)}"


def _ours(folder: Path, base: str) -> Ran:
    same = SAME | {"base": base, "base_name": "real", "n_epochs": 2, "learning_rate": 1e-3, "save_every": 1000}
    jobs.write(folder, options={"rank": 16, "alpha": 32, "dropout": 0.0}, keep_epochs=3, **same)
    ran = _run(folder, "-m", "trainer.job", str(folder))
    told = [line for line in jobs.lines(folder) if line["event"] == "valid"]
    return Ran(*ran, [line["valid_loss"] for line in told])


def _theirs(folder: Path, base: str, sketch: Path) -> Ran:
    folder.mkdir()
    fields = SAME | {"base": base, "epochs": 2, "lr": 1e-3, "rank": 16, "alpha": 32, "autocast": has_bfloat16("cpu")}
    (folder / "job.json").write_text(json.dumps(fields))
    program = [] if has_bfloat16("cpu") else ["-c", IN_FLOAT32]
    ran = _run(folder, *program, str(sketch), str(folder))
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return Ran(*ran, [line["valid_loss"] for line in lines if line["event"] == "valid"])


def _run(folder: Path, *arguments: str) -> tuple[float, float]:
    """Seconds and CPU seconds."""
    began = time.monotonic()
    with (folder / "stderr.log").open("wb") as log:
        process = subprocess.Popen(
            [environment.python(), *arguments],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=variables(),
            cwd=environment.ROOT,
        )
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError((folder / "stderr.log").read_text()[-2000:])
    return time.monotonic() - began, used.ru_utime + used.ru_stime


def _told(losses: list[float]) -> str:
    return " → ".join(f"{loss:.3f}" for loss in losses)
