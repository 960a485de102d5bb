"""A client that leaves, and memory that ends, in the middle of a batch."""

import json
import os
import subprocess
import tempfile
from typing import Any

import pytest

from tests.trainer import environment, serving

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    program = environment.ROOT / "tests" / "trainer" / "serving_troubles.py"
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [environment.python(), str(program), str(environment.tiny_base()), f"{folder}/socket"],
            cwd=environment.ROOT,
            env=os.environ | {"PYTHONPATH": str(environment.ROOT)},
            stdout=subprocess.PIPE,
            check=True,
            timeout=serving.PATIENCE,
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_client_that_leaves_ends_its_answer(seen: dict[str, Any]) -> None:
    assert seen["client leaves"]["made"] <= 2 < seen["client leaves"]["of"]


@pytest.mark.parametrize("trouble", ["no memory", "no memory on the host"])
def test_without_memory_the_longest_row_is_refused_and_the_others_go_on(seen: dict[str, Any], trouble: str) -> None:
    alone, together = seen[trouble]["alone"], seen[trouble]["together"]
    assert [together[0], together[2]] == [alone[0], alone[2]]
    error = together[1][1]["error"]
    assert (error["status"], error["code"]) == (429, "out_of_memory")
    assert error["retry_after"] > 0


def test_a_step_that_fails_otherwise_is_told_to_all_its_rows_and_the_next_ones_are_answered(
    seen: dict[str, Any],
) -> None:
    trouble = seen["a mistake"]
    assert {last["error"]["code"] for _, last in trouble["together"]} == {"serving_failed"}
    assert all(last["end"] for _, last in trouble["alone"])


def test_a_mistake_with_one_request_is_told_to_it_and_the_next_one_is_answered(seen: dict[str, Any]) -> None:
    failed, answered = seen["request fails"]
    assert (failed["error"]["status"], failed["error"]["code"]) == (500, "serving_failed")
    assert answered["completion_tokens"] == 3


def test_a_failure_between_two_steps_does_not_end_the_engine(seen: dict[str, Any]) -> None:
    failed, answered = seen["turn fails"]
    assert (failed["error"]["status"], failed["error"]["code"]) == (429, "out_of_memory")
    assert answered["end"]
