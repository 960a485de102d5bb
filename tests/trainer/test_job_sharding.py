"""Two processes that each keep a part of the weights: the losses and the files of one process that has all of them."""

from pathlib import Path
from typing import Any

import pytest

from tests.trainer import jobs

pytestmark = pytest.mark.timeout(1800)
ADAPTER: dict[str, Any] = {"options": {"dropout": 0.0}}
FULL: dict[str, Any] = {"options": {"full": True}, "learning_rate": 0.001}


def written(folder: Path, asked: dict[str, Any], *, shard: bool) -> Path:
    options = asked["options"] | {"shard": shard}
    return jobs.write(folder, **asked | {"options": options}, n_epochs=2, device="cpu+cpu" if shard else "cpu")


@pytest.mark.parametrize("asked", [ADAPTER, FULL], ids=["adapter", "full"])
def test_a_sharded_job_that_was_paused_is_like_a_whole_one(asked: dict[str, Any], tmp_path: Path) -> None:
    whole, sharded = (written(tmp_path / str(shard), asked, shard=shard) for shard in (False, True))
    assert jobs.run(whole, **jobs.FLOAT32) == 0, (whole / "stderr.log").read_text()
    with jobs.running(sharded, **jobs.FLOAT32) as job:
        job.wait_for("step", 3)
        job.process.terminate()
        assert job.end() == 75, (sharded / "stderr.log").read_text()
    assert jobs.run(sharded, **jobs.FLOAT32) == 0, (sharded / "stderr.log").read_text()
    for event, name in (("step", "train_loss"), ("step", "grad_norm"), ("valid", "valid_loss")):
        one, other = ({step: line[name] for step, line in jobs.told(each, event).items()} for each in (whole, sharded))
        assert other == pytest.approx(one, abs=1e-4), name
    sizes = [_weights(folder / "final") for folder in (whole, sharded)]
    assert sizes[0] == sizes[1]


def _weights(folder: Path) -> dict[str, int]:
    """The files of a model, with the size of its weights."""
    return {path.name: path.stat().st_size * (path.suffix == ".safetensors") for path in folder.iterdir()}
