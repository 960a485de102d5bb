"""Rows of a base and of several adapters share a batch, and each is answered as if it were alone."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.trainer import serving, tiny_adapters
from tests.trainer.serving import Process

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    """Fewer adapters fit than are asked for."""
    with tempfile.TemporaryDirectory() as folder, serving.serving(Path(folder), "--max-adapters", "2") as process:
        yield process


@pytest.fixture(scope="module")
def adapters() -> Path:
    return serving.tiny_adapters()


def _questions(adapters: Path, *names: str, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "content": question,
            "adapter": None if name == "base" else str(adapters / name),
            "max_tokens": tiny_adapters.TOKENS,
            **more,
        }
        for name in names
        for question in tiny_adapters.QUESTIONS
    ]


def _expected(adapters: Path, *names: str) -> list[str]:
    known = json.loads((adapters / "answers.json").read_text())
    assert len({tuple(answers) for answers in known.values()}) == len(known), "the adapters change nothing"
    return [answer for name in names for answer in known[name]]


def test_rows_of_one_batch_are_answered_as_transformers_answers_each_alone(process: Process, adapters: Path) -> None:
    names = ("base", "one", "two")
    together = process.ask_all(_questions(adapters, *names))
    assert [answer.text for answer in together] == _expected(adapters, *names)
    assert {answer.last["end"] for answer in together} <= {"length", "stop"}


def test_more_adapters_than_fit_take_turns(process: Process, adapters: Path) -> None:
    names = ("three", "one", "base", "two")
    together = process.ask_all(_questions(adapters, *names))
    assert [answer.text for answer in together] == _expected(adapters, *names)


def test_a_seed_gives_the_same_answer_whoever_shares_the_batch(process: Process) -> None:
    hot: dict[str, Any] = {"temperature": 1.0, "top_p": 0.9, "max_tokens": 30}
    alone = [process.ask(**hot, seed=seed).text for seed in (1, 2)]
    others = [{"content": "The slope", **hot} for _ in range(4)]
    together = process.ask_all([*others[:2], {**hot, "seed": 1}, *others[2:], {**hot, "seed": 2}])
    assert alone[0] != alone[1]
    assert [together[2].text, together[5].text] == alone


def test_top_p_near_zero_is_greedy(process: Process) -> None:
    assert process.ask(temperature=2, top_p=1e-6, max_tokens=20).text == process.ask(max_tokens=20).text


def test_a_stop_string_ends_the_answer_and_is_not_in_it(process: Process) -> None:
    whole = process.ask(max_tokens=30)
    for begin in range(len(whole.text) - 4):
        stop = whole.text[begin : begin + 4]
        answer = process.ask(max_tokens=30, stop=["never said", stop])
        assert answer.text == whole.text[: whole.text.index(stop)]
        assert answer.last["end"] == "stop"


def test_log_probabilities_are_those_of_the_text(process: Process) -> None:
    answer = process.ask("é 漢字 👍", max_tokens=30, logprobs=3)
    assert b"".join(bytes(entry["bytes"]) for entry in answer.logprobs).decode(errors="replace") == answer.text
    assert len(answer.logprobs) == answer.last["completion_tokens"]
    for entry in answer.logprobs:
        best = entry["top_logprobs"]
        assert len(best) == 3
        assert entry == {**best[0], "top_logprobs": best}  # greedy
        assert 0 >= best[0]["logprob"] >= best[1]["logprob"] >= best[2]["logprob"]
    assert process.ask(logprobs=0).logprobs[0]["top_logprobs"] == []


def test_tokens_are_counted_and_tools_are_shown_to_the_model(process: Process) -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": {}}}
    plain, with_tools = process.ask(max_tokens=5), process.ask(max_tokens=5, tools=[tool])
    assert plain.last == {"end": "length", "prompt_tokens": plain.last["prompt_tokens"], "completion_tokens": 5}
    assert with_tools.last["prompt_tokens"] > plain.last["prompt_tokens"] + 10


def test_an_answer_without_a_limit_ends_with_the_context(process: Process) -> None:
    last = process.ask("Hi", max_tokens=None).last
    assert last["end"] == "stop" or last["prompt_tokens"] + last["completion_tokens"] == 512
