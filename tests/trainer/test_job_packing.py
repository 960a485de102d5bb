"""Several examples in one row: each has the losses that it has in a row of its own."""

import subprocess
from pathlib import Path

import pytest

from tests.trainer import environment, jobs
from trainer.job.rows.packing import packed

pytestmark = pytest.mark.timeout(1800)


def test_rows_are_filled_up_to_the_longest_example() -> None:
    examples = [{"input_ids": [number] * number} for number in (2, 5, 9, 3, 4)]
    rows = [[len(example["input_ids"]) for example in row] for row in packed(examples)]
    assert rows == [[9], [5, 4], [3, 2]]


def test_packed_examples_have_the_losses_of_examples_alone(tmp_path: Path) -> None:
    folders = [
        jobs.write(tmp_path / str(packing), n_epochs=2, options={"dropout": 0.0, "packing": packing})
        for packing in (False, True)
    ]
    for folder in folders:
        assert jobs.run(folder, **jobs.FLOAT32) == 0, (folder / "stderr.log").read_text()
    for event, name in (("step", "train_loss"), ("step", "grad_norm"), ("valid", "valid_loss")):
        one, other = ({step: line[name] for step, line in jobs.told(folder, event).items()} for folder in folders)
        assert len(one) > 2
        assert other == pytest.approx(one, abs=1e-4), name
    assert "| packing | True |" in (folders[1] / "final" / "README.md").read_text()


PROBE = """
import sys
from pathlib import Path
from transformers import AutoModelForCausalLM
from trainer.job.failures import Failed
from trainer.job.rows.packing import Packed, refuse_a_model_that_mixes

example = {"input_ids": [5, 6], "labels": [5, 6]}
batch = Packed(9)([example, {"input_ids": [1, 2, 3, 4, 5], "labels": [-100, 2, 3, 4, 5]}, example])
print(batch["input_ids"].tolist(), batch["labels"].tolist(), batch["position_ids"].tolist())
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
refuse_a_model_that_mixes(model, "tiny")
forward = model.forward
model.forward = lambda position_ids, **given: forward(**given)  # as one whose layers know no positions
try:
    refuse_a_model_that_mixes(model, "tiny")
except Failed as failed:
    print(failed.param, failed.message)
"""


def test_a_model_whose_examples_would_see_each_other_is_refused() -> None:
    command = [environment.python(), "-c", PROBE, str(environment.tiny_base())]
    said = subprocess.run(command, cwd=environment.ROOT, capture_output=True, text=True, check=False)
    assert said.stdout.splitlines() == [
        "[[1, 2, 3, 4, 5], [5, 6, 5, 6, 9]] [[-100, 2, 3, 4, 5], [-100, 6, -100, 6, -100]] "
        "[[0, 1, 2, 3, 4], [0, 1, 0, 1, 0]]",
        "provider_options.packing tiny lets examples in one row see each other. Leave packing out.",
    ], said.stderr
