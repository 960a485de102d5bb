"""Wrong requests and broken adapters get an error line, and the process lives on."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.trainer import serving
from tests.trainer.serving import Process

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    with tempfile.TemporaryDirectory() as folder, serving.serving(Path(folder)) as process:
        yield process


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(serving.tiny_adapters() / "one", tmp_path / "adapter"))


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": ["Hi"]}, "messages"),
        ({"messages": [{"content": "Hi"}]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0]"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"temperature": 2.5}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"seed": 2**63}, "seed"),
        ({"stop": [""]}, "stop"),
        ({"stop": "end"}, "stop"),
        ({"logprobs": 21}, "logprobs"),
        ({"tools": {}}, "tools"),
        ({"adapter": 1}, "adapter"),
        ({"flavour": "sweet"}, "flavour"),
    ],
)
def test_wrong_fields_are_named(process: Process, wrong: dict[str, Any], param: str) -> None:
    error = process.ask(**wrong).error
    assert (error["status"], error["code"], error["param"]) == (400, "invalid_value", param)


@pytest.mark.parametrize("line", [b"\n", b"[]\n", b"not JSON\n", b"\xff\n"])
def test_what_is_no_request_is_refused(process: Process, line: bytes) -> None:
    assert process.send(line).error["code"] == "invalid_value"


def test_what_the_context_cannot_hold_is_refused_with_the_figures(process: Process) -> None:
    error = process.ask("slope " * 600).error
    assert (error["status"], error["code"], error["param"]) == (400, "context_length_exceeded", "messages")
    assert "context is 512 tokens" in error["message"]
    error = process.ask(max_tokens=600).error
    assert (error["code"], error["param"]) == ("context_length_exceeded", "max_tokens")
    assert "600 for the completion" in error["message"]


def test_an_adapter_that_is_gone_is_told(process: Process, adapter: Path) -> None:
    assert process.ask(adapter=str(adapter)).text
    shutil.rmtree(adapter)
    error = process.ask(adapter=str(adapter)).error
    assert (error["status"], error["code"]) == (500, "adapter_missing")


@pytest.mark.parametrize("broken", ["weights cut off", "no configuration", "of another base", "some weights missing"])
def test_a_broken_adapter_is_told_and_changes_no_other_answer(process: Process, adapter: Path, broken: str) -> None:
    good = str(serving.tiny_adapters() / "two")
    before = [process.ask(max_tokens=20).text, process.ask(max_tokens=20, adapter=good).text]
    weights, configuration = adapter / "adapter_model.safetensors", adapter / "adapter_config.json"
    settings = json.loads(configuration.read_text())
    match broken:
        case "weights cut off":
            weights.write_bytes(weights.read_bytes()[:-100])
        case "no configuration":
            configuration.unlink()
        case "of another base":
            configuration.write_text(json.dumps(settings | {"r": 5}))
        case "some weights missing":
            configuration.write_text(json.dumps(settings | {"target_modules": ["q_proj", "v_proj", "down_proj"]}))
    error = process.ask(adapter=str(adapter)).error
    assert (error["status"], error["code"]) == (500, "adapter_broken")
    assert [process.ask(max_tokens=20).text, process.ask(max_tokens=20, adapter=good).text] == before


def test_an_adapter_that_was_made_anew_answers_at_once(process: Process, adapter: Path) -> None:
    before = process.ask(max_tokens=20, adapter=str(adapter)).text
    shutil.rmtree(adapter)
    shutil.copytree(serving.tiny_adapters() / "two", adapter)
    now = process.ask(max_tokens=20, adapter=str(adapter)).text
    assert now == process.ask(max_tokens=20, adapter=str(serving.tiny_adapters() / "two")).text != before


def test_it_leaves_with_its_parent_and_takes_its_socket_along(process: Process) -> None:
    """The last test of this process."""
    assert process.process.stdin is not None
    process.process.stdin.close()
    assert process.process.wait(serving.PATIENCE) == 0
    assert not process.path.exists()
