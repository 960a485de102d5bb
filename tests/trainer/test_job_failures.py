"""How a job says that it cannot go on: a line, an exit code, and nothing half made."""

import json
import resource
from pathlib import Path

import pytest

from tests.trainer import jobs

pytestmark = pytest.mark.timeout(1800)
LONG = {"messages": [{"role": "user", "content": "Count."}, {"role": "assistant", "content": "one two " * 60}]}
MIB = 2**20


def test_a_row_that_cannot_be_trained_on_is_named(tmp_path: Path) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    folder = jobs.write(tmp_path / "job")
    wrong = {"messages": [{"role": "user", "content": [image]}, {"role": "assistant", "content": "A cat."}]}
    with (folder / "valid.jsonl").open("a") as file:
        file.write(json.dumps(wrong) + "\n")
    assert jobs.run(folder) == 1
    assert jobs.lines(folder) == [
        {
            "event": "failed",
            "code": "invalid_validation_file",
            "message": "Line 6 of the validation file has an image, and this trainer trains on text only. Remove the "
            "example, or its image.",
            "param": "validation_file",
        }
    ]
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == []


@pytest.mark.parametrize("room_mib", [4, 96], ids=["no room for a thread", "no room for a batch"])
def test_memory_that_runs_out_is_told_with_what_to_change(tmp_path: Path, room_mib: int) -> None:
    """The limit comes after the estimate, as when another process takes the memory meanwhile."""
    folder = jobs.write(tmp_path / "job", valid=None, batch_size=64)
    jobs.data(folder / "train.jsonl", lambda number: LONG, 64)
    with jobs.running(folder) as job:
        job.wait_for("started")
        pages = int(Path(f"/proc/{job.process.pid}/statm").read_text().split()[0])
        room = pages * resource.getpagesize() + room_mib * MIB
        resource.prlimit(job.process.pid, resource.RLIMIT_AS, (room, room))
        assert job.end() == 3, (folder / "stderr.log").read_text()[-3000:]
    last = jobs.lines(folder)[-1]
    assert (last["event"], last["code"]) == ("failed", "out_of_memory")
    assert "Try a smaller batch_size (64 now), a smaller max_length, a smaller rank (8 now)" in last["message"]
    assert not (folder / "final").exists()
