"""Fireworks AI's own SDK makes each call that our client makes, and believes the stand-in's answers."""

from collections.abc import Callable
from pathlib import Path

from tests import sdks
from tests.world import Sandbox, lines

PROGRAM = Path(__file__).with_name("calls_of_fireworks_sdk.py")
JOB = "supervisedFineTuningJobs/ftjob-sdk"


def test_the_official_sdk_makes_every_call_that_we_use(speaking: Callable[[str], Sandbox], tmp_path: Path) -> None:
    sandbox, file = speaking("fireworks"), tmp_path / "train.jsonl"
    sandbox.reset()
    file.write_bytes(lines(20))
    said = sdks.run(PROGRAM, "create", sandbox.address, str(file))
    assert (said["uploaded"], said["states"], said["is_same"]) == ("small", ["READY", "READY"], True)
    assert said["job"] == [f"accounts/sandbox/{JOB}", "JOB_STATE_CREATING"]
    assert said["preference"] == ["accounts/sandbox/dpoJobs/ftjob-dpo", "JOB_STATE_CREATING"]
    assert "accounts/fireworks/models/qwen3-8b" in said["tunable"]
    sandbox.move(JOB, status="succeeded")
    seen = sdks.run(PROGRAM, "look", sandbox.address, "ftjob-sdk")
    assert (seen["state"], seen["cost"], seen["percent"], seen["lines"]) == ("JOB_STATE_COMPLETED", "USD", 100, 10)
    assert seen["listed"] == [f"accounts/sandbox/{JOB}"]
    assert seen["cancelled"] == ["JOB_STATE_CANCELLING", "JOB_STATE_CANCELLED"]
    assert seen["deployment"] == ["CREATING", "accounts/sandbox/deployments/dep-sdk"]
    assert seen["weights"]["adapter_config.json"] == 3
    assert seen["models"] == ["accounts/sandbox/models/mine"]
