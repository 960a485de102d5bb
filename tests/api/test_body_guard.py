"""What the body guard finds in raw bytes: depth of JSON, text that cannot be stored, and URLs that are not text."""

import json

import pytest

from api.http.body_guard import find_unstorable, is_text, is_too_deep
from shared.json_fields import MAX_DEPTH


def nested(depth: int) -> bytes:
    return b'{"a":' * (depth // 2) + b"[" * (depth - depth // 2) + b"]" * (depth - depth // 2) + b"}" * (depth // 2)


@pytest.mark.parametrize(
    ("body", "too_deep"),
    [
        (b"", False),
        (b"1", False),
        (b"[]", False),
        (nested(MAX_DEPTH), False),
        (nested(MAX_DEPTH + 1), True),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, False),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), True),
        (b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH, False),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), True),
        (b"[" + b"[[]]," * 1000 + b"[]]", False),
        (b'["' + b"[" * 1000 + b'\\"[\\\\"]', False),
        (b'{"' + b"{" * 1000 + b'": 1}', False),
        (b'["\\\\", "\\\\\\"' + b"[" * 1000 + b'"]', False),
        (b'["\\\\\\"", "\\\\", ' + b"[" * 1000, True),
        (b'"' + b"[" * 1000, False),
        (b"[" * 100_000, True),
        (b"]" * 100_000, False),
        (b"[" * 1000 + b"}" * 1000, True),
    ],
)
def test_depth_counts_brackets_outside_of_strings(body: bytes, too_deep: bool) -> None:
    assert is_too_deep(body) is too_deep


@pytest.mark.parametrize(
    "text", [b'"' + b"a" * 200_000, b'"' + b'\\"' * 100_000, b'"a" ' * 50_000 + b'"'], ids=["open", "escaped", "many"]
)
def test_an_unclosed_string_does_not_take_long(text: bytes) -> None:
    assert is_too_deep(b"[" * 40 + text)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        (b'"plain"', None),
        (rb'"\u0000"', 1),
        (rb'"ab\u0000"', 3),
        (rb'"\\u0000"', None),
        (rb'"\\\u0000"', 3),
        (rb'"\\\\u0000"', None),
        (rb'"\\\\\u0000"', 5),
        (rb'"\u0001"', None),
        (rb'"\ud83d\ude00"', None),
        (rb'"\uD83D\uDE00 \u00e9"', None),
        (rb'"\ud83d"', 1),
        (rb'"\ude00"', 1),
        (rb'"\ude00\ud83d"', 1),
        (rb'"\ud83d\\\ude00"', 1),
        (rb'"\ud83d\\ude00"', 1),
        (rb'"\ud83d\ud83d\ude00\ude00"', 1),
        (rb'"\ud83d\ude00\ude00"', 13),
        (rb'"\\ud800"', None),
        (rb'"\ud7ff \ue000"', None),
        (rb'"\uDBFF\uDFFF"', None),
        (rb'{"\u0000": 1}', 2),
    ],
)
def test_the_first_nul_or_lone_surrogate_is_found(text: bytes, position: int | None) -> None:
    assert find_unstorable(text) == position


@pytest.mark.parametrize("text", ["plain", "é", "😀", "\t\n", '"\\', "\ud7ff\ue000"])
def test_what_json_writes_of_storable_text_is_storable(text: str) -> None:
    for ensure_ascii in (True, False):
        assert find_unstorable(json.dumps(text, ensure_ascii=ensure_ascii).encode()) is None


@pytest.mark.parametrize(
    ("part", "is_good"),
    [
        (b"", True),
        (b"/v1/files", True),
        (b"a=b%20c", True),
        (b"a=%c3%a9", True),
        (b"a=%F0%9F%98%80", True),
        (b"a=%", True),
        (b"a=%zz", True),
        ("ü".encode(), True),
        (b"a=%ff", False),
        (b"a=%c3", False),
        (b"a=%ed%a0%80", False),
        (b"a=%c0%80", False),
        (b"%00", False),
        (b"\0", False),
        (b"\xff", False),
    ],
)
def test_a_url_must_decode_to_utf8_without_nul(part: bytes, is_good: bool) -> None:
    assert is_text(part) is is_good
