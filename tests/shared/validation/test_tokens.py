"""Tokens are counted in bounded memory, and added up by the formula of what OpenAI bills."""

import json
from importlib import import_module
from io import BytesIO
from typing import Any

import pytest

from shared.datasets.validation.check import check
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.tokens import counter as tokens
from shared.datasets.validation.tokens import encoding as encodings
from shared.datasets.validation.tokens.by_tiktoken import tiktoken_counter
from shared.datasets.validation.tokens.counter import TokenCounter, quickest_counter
from shared.datasets.validation.tokens.encoding import ENCODINGS, encoding

COUNTERS = {name: TokenCounter(quickest_counter(name)) for name in ENCODINGS}


@pytest.mark.parametrize("name", ENCODINGS)
def test_the_pattern_and_the_hash_are_tiktokens(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    openai_public = import_module("tiktoken_ext.openai_public")
    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda _, expected_hash: asked.append(expected_hash))
    assert getattr(openai_public, name)()["pat_str"] == ENCODINGS[name].pattern
    assert asked == [ENCODINGS[name].sha256]


def test_known_counts_of_both_encodings() -> None:
    text = "Héllo, wörld! 你好，世界 1234567 don't"
    assert {name: counter.count(text) for name, counter in COUNTERS.items()} == {"o200k_base": 17, "cl100k_base": 21}


@pytest.mark.parametrize(
    "text", [" " * 1_000_000, "x" + "\t" * 1_000_000 + "x", "ab" * 1_000_000, "\u3000" * 1_000_000]
)
def test_enormous_runs_have_as_many_tokens_by_fastokens_as_by_tiktoken(text: str) -> None:
    by_tiktoken = TokenCounter(tiktoken_counter("o200k_base")).count(text)
    assert COUNTERS["o200k_base"].count(text) == by_tiktoken > 0


def test_what_is_remembered_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_CACHED_CHARACTERS", 2_000)
    counter = TokenCounter(quickest_counter("o200k_base"))
    counted = [counter.count(f"question {n} and {n}x") for n in range(1000)]
    assert counted == [len(encoding("o200k_base").encode_ordinary(f"question {n} and {n}x")) for n in range(1000)]
    assert sum(map(len, counter._texts)) <= 2_000


def test_damaged_ranks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODINGS, "o200k_base", ENCODINGS["o200k_base"]._replace(sha256="0" * 64))
    with pytest.raises(RuntimeError, match="damaged"):
        encodings.rank_file("o200k_base")


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4.1", "o200k_base"),
        ("ft:gpt-4.1-mini-2025-04-14:acme::x", "o200k_base"),
        ("gpt-4o-mini-2024-07-18", "o200k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("ft:gpt-3.5-turbo-0125:acme:name:x", "cl100k_base"),
        ("babbage-002", "cl100k_base"),
    ],
)
def test_a_model_has_its_encoding(model: str, name: str) -> None:
    base = rules().model(model)
    assert base is not None
    assert base.encoding == name


def jsonl(*messages: dict[str, Any], times: int = 10) -> BytesIO:
    return BytesIO((json.dumps({"messages": messages}) + "\n").encode() * times)


USER, ANSWER = {"role": "user", "content": "hello world"}, {"role": "assistant", "content": "hi"}


def test_a_message_costs_three_tokens_its_role_and_its_text_and_an_example_three_more() -> None:
    found = check(jsonl(USER, ANSWER)).statistics
    assert found.tokens is not None
    assert (found.tokens.total, found.trained_tokens) == (10 * (3 + 3 + 1 + 2 + 3 + 1 + 1), 10)


def test_a_name_costs_its_tokens_and_one_more() -> None:
    named, plain = check(jsonl({**USER, "name": "bob"}, ANSWER)), check(jsonl(USER, ANSWER))
    assert named.statistics.tokens is not None
    assert plain.statistics.tokens is not None
    assert named.statistics.tokens.total - plain.statistics.tokens.total == 20


def test_an_answer_of_weight_0_is_counted_but_not_trained() -> None:
    found = check(jsonl(USER, {**ANSWER, "weight": 0}, USER, {**ANSWER, "weight": 1})).statistics
    assert found.trained_tokens == 10


def test_images_are_counted_by_their_detail() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}
    content = [{"type": "text", "text": "hello world"}, image]
    found, plain = check(jsonl({**USER, "content": content}, ANSWER)).statistics, check(jsonl(USER, ANSWER)).statistics
    assert found.tokens is not None
    assert plain.tokens is not None
    assert (found.images, found.image_examples) == (10, 10)
    assert found.tokens.total - plain.tokens.total == 850


def test_an_example_over_the_models_limit_is_warned_of_with_what_is_lost() -> None:
    report = check(jsonl({**USER, "content": "word " * 5000}, ANSWER), model="gpt-3.5-turbo-0613")
    assert report.counts["truncated"] == 10
    cut = report.statistics.truncation[0]
    assert report.statistics.tokens is not None
    assert (cut.limit, cut.examples, cut.tokens) == (4096, 10, report.statistics.tokens.total - 40960)


def test_tokens_are_left_out_on_request() -> None:
    found = check(jsonl(USER, ANSWER), tokens=False)
    assert (found.statistics.tokens, found.statistics.trained_tokens, found.encoding) == (None, None, None)
