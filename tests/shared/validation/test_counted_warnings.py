"""Warnings of which enough are listed are only counted: the report is the one that the rules alone would give."""

import json
from random import Random
from typing import Any

import pytest

from shared.datasets.validation.findings.report import Report
from shared.datasets.validation.lines.rich import RichDecoder
from shared.datasets.validation.reading.strict_json import read_strictly
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.rules.tools import text_of_tools
from shared.datasets.validation.scanning.decoding import LineDecoder
from tests.shared.dataset_lines import checked, lines
from tests.shared.validation.paths import ANSWER, USER, chat
from tests.shared.validation.test_rich_path import CALLED, FILE, FOUND, GOOD, IMAGE, SECRET, TOOL, WARNED

MOST_IN_A_LINE = rules().ours.line_findings
PARAMETERS = {"type": "object", "properties": {"a": {"type": "str"}}}
CHATS: list[dict[str, Any]] = [
    *(example for example in [*GOOD, *WARNED] if "messages" in example),
    chat(),
    chat({**USER, "content": "\ud800"}),
    chat({**USER, "content": f"\0 {SECRET}: \n{SECRET}"}, {**ANSWER, "content": "\ud83d\ude00"}),
    chat({**USER, "content": ""}, {**ANSWER, "content": ""}),
    chat(CALLED, {**FOUND, "content": "\udfff"}, tools=[{**TOOL, "function": {"name": "f", "parameters": PARAMETERS}}]),
    chat({**USER, "content": [IMAGE, FILE]}, {**ANSWER, "weight": 0}),
    {"messages": [{**ANSWER, "weight": 0}]},
    chat(USER, id=7, source={"name": f"\0{SECRET}", "list": [1.5, None]}),
    {"messages": [USER, {**ANSWER, "content": "the same"}]},
    chat(*[USER] * rules().ours.many_messages),
]
ERRORS = [
    chat({**USER, "content": [IMAGE] * 11}),
    chat(CALLED, ANSWER),
    chat({**USER, "weight": 2, "content": "\ud800"}),
    chat(*[{**USER, "weight": 1}] * MOST_IN_A_LINE),
    chat({**USER, "content": f"{SECRET} " * (MOST_IN_A_LINE + 1)}),
    chat({**USER, "content": "\0"}, deep=json.loads("[" * rules().ours.depth + "]" * rules().ours.depth)),
    chat(number=10**309),
    chat(functions=[1], id=1),
    chat(**{f"k{number}": 1 for number in range(MOST_IN_A_LINE + 1)}),
]
PREFERENCES = [
    GOOD[-1],
    {**GOOD[-1], "preferred_output": [{**ANSWER, "content": "\0", "name": "b b"}]},
    {**GOOD[-1], "preferred_output": [{**ANSWER, "name": "c"}], "non_preferred_output": [{**ANSWER, "name": "c"}]},
]
COMPLETIONS = [{"prompt": "", "completion": "a"}, {"prompt": SECRET, "completion": "b\ud800"}]


def mixed(examples: list[dict[str, Any]], rare: list[dict[str, Any]]) -> bytes:
    """Each example 250 times and each rare one twice, in any order, all with texts of their own."""
    chance, texts = Random(7), [json.dumps(each) for each in [*examples * 250, *rare * 2]]
    chance.shuffle(texts)
    return b"".join(
        text.replace('"Two."', f'"{number}"').encode() + b"\n" for number, text in enumerate(texts, start=1)
    )


@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize(
    ("examples", "rare"), [(CHATS[:-1], [*ERRORS, CHATS[-1]]), (PREFERENCES, []), (COMPLETIONS, [{"prompt": "a"}])]
)
def test_the_report_is_that_of_the_rules(
    monkeypatch: pytest.MonkeyPatch, examples: list[dict[str, Any]], rare: list[dict[str, Any]], tokens: bool
) -> None:
    content = mixed(examples, rare)
    counted = checked(content, tokens=tokens)
    monkeypatch.setattr(RichDecoder, "read", lambda *_: None)
    monkeypatch.setattr(LineDecoder, "plain_among", lambda *_: {})
    assert counted == checked(content, tokens=tokens)
    assert max(counted.counts.values()) > 200


def report_of(*messages: dict[str, Any], times: int = 500) -> Report:
    return checked(lines(*[chat(*messages)] * times))


@pytest.mark.parametrize(
    ("content", "code", "in_a_line"),
    [
        ("\ud800 and \udfff", "lone_surrogate", 1),
        ("\0\0", "nul_character", 1),
        (f"{SECRET} {SECRET}", "secret", 2),
        ([FILE] * 3, "untrained_part", 3),
    ],
)
def test_counts_are_exact_where_no_line_is_named(content: Any, code: str, in_a_line: int) -> None:
    report = report_of({**USER, "content": content})
    assert report.valid
    assert report.counts[code] == 500 * in_a_line
    assert len([found for found in report.problems if found.code == code]) == 100


def test_functions_in_an_input_are_examined_once_enough_unknown_keys_are_listed() -> None:
    good = GOOD[-1]
    unknown, wrong = [{**good, "input": {**good["input"], **more}} for more in ({"id": 1}, {"functions": 3})]
    report = checked(lines(*[unknown] * 150, *[wrong] * 50))
    assert (report.counts["unrecognized_key"], report.counts["invalid_type"]) == (200, 50)


@pytest.mark.parametrize("number", [1, 1.5, 1e-4, 1e-5, 8.7e-05, 1e16, 1e300, 123456789.0, 0.1])
def test_declarations_are_counted_as_json_writes_them(number: float) -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "ü \u2028 /", "parameters": {"a": number}}}]
    assert text_of_tools({"tools": tools}) == json.dumps(tools, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize("of", [lambda value: [value], lambda value: {"a": "]", "b": value}])
def test_the_depth_of_a_line_is_exact(of: Any) -> None:
    value: Any = "[[{{"
    for _ in range(rules().ours.depth):
        value = of(value)
    assert read_strictly(json.dumps(value).encode()).value == value
    assert checked(lines(of(value))).counts["nested_too_deeply"] == 1
