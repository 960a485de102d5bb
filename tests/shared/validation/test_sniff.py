"""What the first bytes of a file show: no JSON lines at all, or the format of its lines."""

import json
from io import BytesIO
from typing import Any

import pytest

from shared.datasets.validation.reading.sniff import SAMPLE_BYTES, format_of_file, problem_of_file, sample
from tests.shared.validation.paths import ANSWER, SYSTEM, USER

CHAT = {"messages": [SYSTEM, USER, ANSWER]}
QUESTION = {"messages": [SYSTEM, USER]}
PAIR = {"prompt": "a", "completion": "b"}
PREFERENCE = {"input": QUESTION, "preferred_output": [ANSWER], "non_preferred_output": [ANSWER]}
SUPERVISED, ALL = ["supervised", "dpo"], ["supervised", "dpo", "reinforcement"]

STARTS: list[tuple[bytes, str | None]] = [
    (b"", "empty_file"),
    (b" \n\t\n", "empty_file"),
    (b"\xef\xbb\xbf", "empty_file"),
    (b" " * SAMPLE_BYTES, None),
    (b"\x1f\x8b\x08", "unsupported_file_type"),
    (b"PK\x03\x04", "unsupported_file_type"),
    (b"PAR1", "unsupported_file_type"),
    (b"\x28\xb5\x2f\xfd", "unsupported_file_type"),
    (b"BZh9", "unsupported_file_type"),
    (b"\xfd7zXZ\x00", "unsupported_file_type"),
    (b"ARROW1", "unsupported_file_type"),
    (b"%PDF-1.7", "unsupported_file_type"),
    (b"SQLite format 3\x00", "unsupported_file_type"),
    ('{"a": 1}'.encode("utf-16"), "not_utf8"),
    ('{"a": 1}'.encode("utf-16-le"), "not_utf8"),
    ('{"a": 1}'.encode("utf-16-be"), "not_utf8"),
    ('{"a": 1}'.encode("utf-32"), "not_utf8"),
    (b'[{"messages": []}]', "json_array"),
    (b'\xef\xbb\xbf [\n  {"messages": []}\n]', "json_array"),
    (b"[\n1\n]", "json_array"),
    (b"[1, 2]\n[3, 4]\n", None),
    (b"PACK", None),
    (b"a,b,c\n", None),
    (b'{"a": 1}\n', None),
]

FORMATS: list[tuple[list[Any], list[str], str | None]] = [
    ([CHAT], ALL, "chat"),
    ([CHAT], ["reinforcement"], "reinforcement"),
    ([QUESTION], ALL, "reinforcement"),
    ([QUESTION], SUPERVISED, "chat"),
    ([QUESTION, CHAT], ALL, "chat"),
    ([PAIR], ALL, "completion"),
    ([{"prompt": "a"}], ALL, "completion"),
    ([PREFERENCE], ALL, "preference"),
    ([{"preferred_completion": []}], ALL, "preference"),
    ([CHAT, PAIR, PAIR], ALL, "completion"),
    ([{"other": 1}, CHAT], ALL, "chat"),
    ([{"other": 1}], ALL, None),
    ([1, "a", None, []], ALL, None),
    ([{"messages": "a"}], ALL, "chat"),
    ([{"messages": []}], ALL, "chat"),
    ([{"messages": [{"role": "user", "content": "half a pair: \ud800"}]}], SUPERVISED, "chat"),
]


@pytest.mark.parametrize(("start", "code"), STARTS)
def test_the_start_of_a_file_shows_whether_its_lines_can_be_read(start: bytes, code: str | None) -> None:
    problem = problem_of_file(start)
    assert (problem.code if problem else None) == code


@pytest.mark.parametrize(("examples", "methods", "expected"), FORMATS)
def test_the_first_lines_show_the_format(examples: list[Any], methods: list[str], expected: str | None) -> None:
    start = "\n".join(map(json.dumps, examples)).encode() + b"\n"
    assert format_of_file(start, methods) == expected


def test_a_line_that_the_sample_cuts_off_is_not_judged() -> None:
    start = json.dumps(PAIR).encode() + b'\n{"messages": ['
    assert format_of_file(start, ALL) == "completion"
    assert format_of_file(b"\xef\xbb\xbf" + json.dumps(CHAT).encode(), ALL) == "chat"


def test_a_sample_is_the_start_of_the_file_wherever_it_stands() -> None:
    file = BytesIO(b"a" * (SAMPLE_BYTES + 1))
    file.seek(9)
    assert len(sample(file)) == SAMPLE_BYTES
