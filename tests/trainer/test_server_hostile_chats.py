"""Chats that ask for too much or for nonsense are refused with what to change, and the trainer goes on answering."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from openai import APIError, RateLimitError

from tests.trainer import environment
from tests.trainer.serving_stand_ins import make_base, python
from tests.trainer.trainer_process import BASE, KEY, Trainer, add_base
from tests.trainer.vllm import until

pytestmark = pytest.mark.timeout(600)

HI = [{"role": "user", "content": "Hi"}]
DEEP: Any = "x"
for _ in range(200):
    DEEP = [DEEP]


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    with Trainer(tmp_path_factory.mktemp("trainer")) as trainer:
        yield trainer


def _post(trainer: Trainer, body: object) -> httpx2.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    return httpx2.post(f"{trainer.url}/v1/chat/completions", content=content, headers=headers, timeout=300)


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"messages": [{"role": "user", "content": "word " * 2_000_000}]}, "messages"),
        ({"messages": [{"role": "user", "content": ""}] * 20_000}, "messages"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "messages"),
        ({"messages": [{"role": "user", "content": {"text": "Hi"}}]}, "messages"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": 5}]}]}, "messages"),
        ({"messages": [{"role": "user", "content": DEEP}]}, "messages"),
        ({"stop": ["end"] * 10_000}, "stop"),
        ({"stop": [""]}, "stop"),
        ({"tools": [{"type": "function", "function": {"name": "f", "description": "d" * 5_000_000}}]}, "tools"),
        ({"n": 2}, "n"),
        ({"n": 0}, "n"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 10**6}, "max_tokens"),
        ({"max_completion_tokens": 10**30}, "max_"),
        ({"seed": 2**70}, "seed"),
        ({"temperature": 1e9}, "temperature"),
        ({"top_p": float("nan")}, "top_p"),
    ],
)
def test_what_asks_for_too_much_is_refused_by_its_field(trainer: Trainer, wrong: dict[str, Any], param: str) -> None:
    answer = _post(trainer, {"model": BASE, "messages": HI, **wrong})
    error = answer.json()["error"]
    assert answer.status_code == 400, error
    assert str(error["param"]).startswith(param), error
    assert error["message"]


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"a": ' * 5_000, b"[" * 100_000])
def test_what_is_no_request_is_refused(trainer: Trainer, body: bytes) -> None:
    answer = _post(trainer, body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_a_body_beyond_all_bounds_is_not_read(trainer: Trainer) -> None:
    answer = _post(trainer, b'{"model": "' + b"x" * (17 * 2**20))
    assert answer.status_code == 413
    assert "Send less" in answer.json()["error"]["message"]


def test_it_still_answers_and_by_the_same_process(trainer: Trainer) -> None:
    answer = _post(trainer, {"model": BASE, "messages": HI, "max_tokens": 3})
    assert answer.status_code == 200
    assert len(_serving(trainer)) == 1


def _serving(trainer: Trainer) -> list[psutil.Process]:
    children = psutil.Process(trainer.process.pid).children()
    return [child for child in children if "trainer.serving" in child.cmdline()]


def test_a_process_that_is_killed_ends_the_stream_with_an_error_and_is_started_again(trainer: Trainer) -> None:
    asked: Any = HI
    chunks = trainer.openai.chat.completions.create(model=BASE, messages=asked, stream=True, temperature=0)
    next(iter(chunks))
    [process] = _serving(trainer)
    process.kill()
    with pytest.raises(APIError, match="ended"):
        list(chunks)
    assert _post(trainer, {"model": BASE, "messages": HI, "max_tokens": 3}).status_code == 200


def test_a_base_that_does_not_fit_into_memory_is_told(trainer: Trainer, tmp_path: Path) -> None:
    weights = tmp_path / "huge"
    weights.mkdir()
    for file in environment.tiny_base().iterdir():
        (weights / file.name).symlink_to(file)
    with (weights / "more.safetensors").open("wb") as sparse:
        sparse.truncate(2**42)
    add_base(trainer.folder, "huge", weights)
    assert _post(trainer, {"model": BASE, "messages": HI, "max_tokens": 3}).status_code == 200
    asked: Any = HI
    with pytest.raises(RateLimitError, match="not enough free memory") as refused:
        trainer.openai.chat.completions.create(model="huge", messages=asked)
    assert refused.value.code == "out_of_memory"
    assert int(refused.value.response.headers["retry-after"]) > 0


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_frees_its_place(tmp_path: Path, stream: bool) -> None:
    """By a stand-in that notes when its connection is closed."""
    weights = make_base(tmp_path, "base")
    with Trainer(tmp_path / "trainer", python=python(tmp_path)) as trainer:
        add_base(trainer.folder, "stand-in", weights)
        asked = [{"role": "user", "content": "wait"}]
        with trainer.chat_of_a_client_that_leaves(model="stand-in", messages=asked, stream=stream):
            until((weights / "waiting").exists)
        until((weights / "cancelled").exists)
