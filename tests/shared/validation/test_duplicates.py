"""Finds duplicates in a file: each row is the second of two examples, and what it is a duplicate of."""

import json
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.datasets.validation.check import check
from shared.datasets.validation.lines.fingerprints import normalized_line, tail_fingerprints
from shared.datasets.validation.lines.plain import User
from tests.shared.dataset_lines import checked

OTHERS = b"".join(
    b'{"messages":[{"role":"user","content":"%d?"},{"role":"assistant","content":"It is %d."}]}\n' % (n, n)
    for n in range(20, 30)
)


def line(user: str = "What is one?", answer: str = "The first number.", more: str = "") -> bytes:
    messages = [{"role": "user", "content": user}, {"role": "assistant", "content": answer}]
    return json.dumps({"messages": messages})[:-1].encode() + more.encode() + b"}\n"


SECOND = [
    (line(), "duplicate_example"),
    (line().strip(), "duplicate_example"),
    (b"  " + line(), "duplicate_example"),
    (line().replace(b"\n", b"\r\n"), "duplicate_example"),
    (line("what is ONE"), "near_duplicate_example"),
    (line("What  is\n one"), "near_duplicate_example"),
    (line(answer="The first number!"), "near_duplicate_example"),
    (line().replace(b": ", b":"), "near_duplicate_example"),
    (line("What is two?"), None),
    (line(answer="The second number."), None),
    (line("Whät is one?"), None),
    (line(more=', "id": 1'), None),
]


@pytest.mark.parametrize(("second", "code"), SECOND)
def test_the_second_of_two_examples_is_a_duplicate(second: bytes, code: str | None) -> None:
    problems = [each for each in checked(line() + OTHERS + second).problems if "duplicate" in each.code]
    assert [problem.code for problem in problems] == ([code] if code else [])
    for problem in problems:
        assert (problem.line, problem.offset) == (12, len(line() + OTHERS))
        assert problem.message.endswith("the same as line 1")


def test_all_repetitions_refer_to_the_first_line() -> None:
    problems = [each for each in checked(OTHERS + line() * 3).problems if each.code == "duplicate_example"]
    assert [(problem.line, problem.message) for problem in problems] == [
        (12, "the example is the same as line 11"),
        (13, "the example is the same as line 11"),
    ]


def test_lines_with_errors_are_not_compared() -> None:
    assert "duplicate_example" not in checked(OTHERS + b"{]\n{]\n").counts


@settings(max_examples=200, deadline=None, database=None)
@given(st.lists(st.sampled_from([line(), line("what is ONE"), line("two"), b"\n", b"{]\n"]), max_size=40))
def test_every_repetition_is_found_wherever_it_stands(content: list[bytes]) -> None:
    valid = [each for each in content if each.startswith(b'{"')]
    counts = check(BytesIO(OTHERS + b"".join(content)), tokens=False).counts
    exact = len(valid) - len(set(valid))
    assert counts.get("duplicate_example", 0) == exact
    repeated = len(valid) - len(set(map(normalized_line, valid)))
    assert counts.get("near_duplicate_example", 0) == repeated - exact


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (["a", "b"], ["A ", " b."], True),
        (["x" * 50 + "a", "b"], ["y" + "x" * 49 + "a", "b"], True),
        (["a", "b"], ["b", "a"], False),
        (["b"], ["a", "b"], False),
        (["a", "b", "c"], ["z", "b", "c"], True),
    ],
)
def test_a_fingerprint_is_of_the_ends_of_the_last_two_messages(one: list[str], other: list[str], equal: bool) -> None:
    first, second = tail_fingerprints([list(map(User, one)), list(map(User, other))])
    assert (first == second) == equal
    assert 0 not in (first, second)


def test_no_examples_have_no_fingerprints() -> None:
    assert list(tail_fingerprints([])) == []
