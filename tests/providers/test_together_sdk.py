"""Together's own SDK makes each call that our client makes, and believes the stand-in's answers."""

from collections.abc import Callable
from pathlib import Path

from tests import sdks
from tests.world import Sandbox, lines

PROGRAM = Path(__file__).with_name("calls_of_together_sdk.py")


def test_the_official_sdk_makes_every_call_that_we_use(speaking: Callable[[str], Sandbox], tmp_path: Path) -> None:
    sandbox, file = speaking("together"), tmp_path / "train.jsonl"
    sandbox.reset()
    file.write_bytes(lines(20))
    said = sdks.run(PROGRAM, "create", sandbox.address, str(file))
    assert said["file"] == said["again"]
    assert (said["status"], said["is_valid"], said["listed"], said["is_same"]) == (
        "COMPLETED",
        True,
        [said["file"]],
        True,
    )
    assert (said["created"]["status"], said["created"]["suffix"]) == ("pending", "mine")
    assert "Qwen/Qwen3-8B" in said["supported"]["models"]
    id = said["created"]["id"]
    sandbox.move(id, status="succeeded")
    seen = sdks.run(PROGRAM, "look", sandbox.address, id)
    assert seen["job"]["status"] == "completed"
    assert seen["job"]["model"].startswith("sandbox/Qwen3-8B-mine-")
    assert seen["job"]["price"] > 0
    assert seen["listed"] == [id]
    assert seen["events"][0] == "job_pending"
    assert seen["events"][-1] == "job_complete"
    assert {20, 40} == set(seen["steps"])
    assert [each for each in seen["metrics"] if "train/loss" in each]
    assert [each for each in seen["metrics"] if "eval/loss" in each]
    assert seen["adapter"].startswith(f"The adapter of {id}"[:40])
    assert seen["cancelled"] == "cancel_requested"
