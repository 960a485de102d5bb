"""What is found about a file as a whole: each row is a file, what it is checked for, and the findings with no line."""

from typing import Any

import msgspec
import pytest

from shared.datasets.validation import check as checking
from shared.datasets.validation.rules.limits import Rules, rules
from tests.shared.dataset_lines import GOOD, chat, checked, lines
from tests.shared.validation.paths import ANSWER, USER

QUESTIONS = lines(*({"messages": [{"role": "user", "content": f"{n}?"}], "reference": n} for n in range(12)))
PAIRS = lines(*({"prompt": f"{n}?", "completion": f"{n}"} for n in range(12)))
PREFERENCES = lines(
    *(
        {
            "input": {"messages": [USER]},
            "preferred_output": [{**ANSWER, "content": f"{n}"}],
            "non_preferred_output": [{**ANSWER, "content": f"No, {n}."}],
        }
        for n in range(12)
    )
)
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
IMAGES = lines(*({"messages": [{"role": "user", "content": [IMAGE]}, *chat(n)["messages"][2:]]} for n in range(12)))
SAME = lines(*({"messages": [*chat(n)["messages"][:2], ANSWER]} for n in range(12)))
WRONG = "error wrong_format_for_method"
STOPPED = "error model_retired"
SOON = "warning model_stops_soon"

FITNESS: list[tuple[bytes, dict[str, str], list[str]]] = [
    (GOOD, {}, []),
    (GOOD, {"method": "supervised"}, []),
    (GOOD, {"model": "gpt-4.1", "method": "supervised"}, [SOON]),
    (GOOD, {"model": "ft:gpt-4o-mini-2024-07-18:acme::x"}, [SOON]),
    (GOOD, {"method": "dpo"}, [WRONG]),
    (GOOD, {"model": "gpt-4.1", "method": "dpo"}, [WRONG, SOON]),
    (GOOD, {"model": "llama-3"}, ["warning unknown_model"]),
    (GOOD, {"model": "gpt-3.5-turbo"}, [STOPPED]),
    (GOOD, {"model": "gpt-3.5-turbo", "method": "dpo"}, ["error method_not_supported", STOPPED]),
    (GOOD, {"model": "babbage-002"}, [STOPPED, WRONG]),
    (GOOD, {"method": "poetry"}, []),
    (PAIRS, {}, []),
    (PAIRS, {"model": "babbage-002"}, [STOPPED]),
    (PAIRS, {"model": "gpt-4.1"}, [WRONG, SOON]),
    (PREFERENCES, {}, []),
    (PREFERENCES, {"method": "dpo"}, []),
    (PREFERENCES, {"method": "supervised"}, [WRONG]),
    (QUESTIONS, {}, []),
    (QUESTIONS, {"method": "reinforcement"}, []),
    (QUESTIONS, {"model": "o4-mini"}, [STOPPED]),
]

CONTENT: list[tuple[bytes, dict[str, Any], list[str]]] = [
    (lines(*map(chat, range(9))), {}, ["error invalid_n_examples"]),
    (lines(*map(chat, range(10))), {}, []),
    (b"{]\n" * 9, {}, ["error invalid_n_examples"]),
    (GOOD, {"file_bytes": len(GOOD)}, []),
    (GOOD, {"file_bytes": len(GOOD) - 1}, ["error file_too_large"]),
    (GOOD, {"max_examples": {"chat": 12}}, []),
    (GOOD, {"max_examples": {"chat": 11}}, ["error too_many_examples"]),
    (QUESTIONS, {"max_examples": {"reinforcement": 11}}, ["error too_many_examples"]),
    (IMAGES, {"max_image_examples": 12}, []),
    (IMAGES, {"max_image_examples": 11}, ["error too_many_image_examples"]),
    (SAME, {}, ["warning same_completion"]),
    (SAME + lines(chat(1)), {}, []),
    (QUESTIONS, {}, []),
]


def of_the_file(content: bytes, **asked: str) -> list[str]:
    found = [problem for problem in checked(content, **asked).problems if problem.line is None]
    assert all(problem.hint and problem.offset is None and problem.path is None for problem in found)
    return sorted(f"{problem.severity} {problem.code}" for problem in found)


@pytest.mark.parametrize(("content", "asked", "expected"), FITNESS)
def test_a_file_its_model_and_its_method_go_together(
    content: bytes, asked: dict[str, str], expected: list[str]
) -> None:
    assert of_the_file(content, **asked) == expected


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Replaces limits of OpenAI, whose own are too large to be reached in a test."""
    openai = msgspec.structs.replace(rules().limits("openai"), **request.param)
    changed: Rules = msgspec.structs.replace(rules(), providers={"openai": openai})
    monkeypatch.setattr(checking, "rules", lambda: changed)


@pytest.mark.parametrize(("content", "limits", "expected"), CONTENT, indirect=["limits"])
def test_a_file_has_these_findings_as_a_whole(content: bytes, limits: None, expected: list[str]) -> None:
    assert of_the_file(content) == expected


def test_a_file_that_cannot_be_read_is_judged_for_nothing_else() -> None:
    report = checked(b"PK\x03\x04" + GOOD, model="gpt-4.1", method="dpo")
    assert (report.counts, report.lines, report.encoding) == ({"unsupported_file_type": 1}, 0, None)
