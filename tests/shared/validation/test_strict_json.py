"""Strict JSON: lines that are not JSON, and what fast parsers accept silently; each row is a line as it is written."""

import re
from time import process_time
from typing import Any

import pytest

from shared.datasets.validation.findings.finding import UnreadableLine
from shared.datasets.validation.reading.strict_json import read_strictly, texts_with
from tests.shared.validation.paths import found

Row = tuple[bytes, list[str]]


def written(user: bytes = b"a", more: bytes = b"") -> bytes:
    """A line with the text as it is written, and with `more` at its end."""
    messages = (
        b'{"role":"system","content":"s"},{"role":"user","content":"%b"},{"role":"assistant","content":"b"}' % user
    )
    return b'{"messages":[' + messages + b"]" + more + b"}"


KEY = "warning unrecognized_key $"
BROKEN: list[Row] = [
    (b"{", ["error invalid_json"]),
    (b"oh", ["error invalid_json"]),
    (written() + b",", ["error invalid_json"]),
    (written() + written(), ["error invalid_json"]),
    (b'{"messages": [1,]}', ["error invalid_json"]),
    (b"{'messages': []}", ["error invalid_json"]),
    (written(b"\x01"), ["error invalid_json"]),
    (written(b"\\x"), ["error invalid_json"]),
    (written(b"\xff"), ["error invalid_utf8"]),
    (written(b"\xc3"), ["error invalid_utf8"]),
    (written(b"\xed\xa0\x80"), ["error invalid_utf8"]),
    (written("é𝕏".encode()), []),
]
NUMBERS: list[Row] = [
    (written(more=b',"x":NaN'), ["error non_finite_number"]),
    (written(more=b',"x":-Infinity'), ["error non_finite_number"]),
    (written(more=b',"x":1e400'), ["error non_finite_number"]),
    (written(more=b',"x":1e308'), [KEY]),
    (written(more=b',"x":' + b"1" * 308), [KEY]),
    (written(more=b',"x":' + b"1" * 309), ["error number_too_long"]),
    (written(more=b',"x":0.' + b"1" * 306), [KEY]),
    (written(more=b',"x":0.' + b"1" * 307), ["error number_too_long"]),
    (written(b"1" * 400), []),
    (written(b"NaN"), []),
]
DEPTH: list[Row] = [
    (written(more=b',"x":' + b"[" * 99 + b"]" * 99), [KEY]),
    (written(more=b',"x":' + b"[" * 100 + b"]" * 100), ["error nested_too_deeply"]),
    (written(more=b',"x":' + b'{"a":' * 100 + b"1" + b"}" * 100), ["error nested_too_deeply"]),
    (written(more=b',"x":[' + b",".join([b"[]"] * 200) + b"]"), [KEY]),
    (written(b"[" * 200), []),
    (b"[" * 100_000, ["error nested_too_deeply"]),
]
REPEATED: list[Row] = [
    (written(more=b',"messages":[]'), ["error missing_messages_list $.messages", "warning duplicate_key $"]),
    (written(more=b',"id":1,"id":1'), [KEY]),
    (written(more=b',"id":1,"id":2'), ["warning duplicate_key $", KEY]),
    (written(more=b',"id":1,"id":2,"id":1'), ["warning duplicate_key $", KEY]),
    (written(more=b',"x":{"a b":1,"a b":2}'), [KEY, "warning duplicate_key $.x"]),
    (written(more=b',"x":[{"a":1,"a":2}]'), [KEY, "warning duplicate_key $.x[0]"]),
    (written(more=b',"x y":[{"a":1,"a":2}]'), [KEY, 'warning duplicate_key $["x y"][0]']),
    (written(more=b',"x":1,"\\u0078":2'), [KEY, "warning duplicate_key $"]),
    (written(b"a: b\\u003a c"), []),
]
USER = "$.messages[1].content"
CHARACTERS: list[Row] = [
    (written(b"\\ud83d"), [f"warning lone_surrogate {USER}"]),
    (written(b"\\ud83d\\ude00"), []),
    (written(b"\\ude00\\ud83d"), [f"warning lone_surrogate {USER}"]),
    (written(b"\\u0000"), [f"warning nul_character {USER}"]),
    (written(b"\\\\u0000"), []),
    (written(b"\\u0001"), []),
    (written(more=b',"\\u0000":1'), [KEY, "warning nul_character $"]),
]
SECRETS: list[Row] = [
    (written(b"sk-" + b"a1" * 10), [f"warning secret {USER}"]),
    (written(b"sk-" + b"ab" * 10), []),
    (written(b"\\nsk-" + b"a1" * 10), [f"warning secret {USER}"]),
    (written(b"\\u2028sk-" + b"a1" * 10), [f"warning secret {USER}"]),
    (written(b"\\u00e9sk-" + b"a1" * 10), []),
    (written(b"ask-" + b"a1" * 10), []),
    (written(b"AKIA" + b"A1" * 8), [f"warning secret {USER}"]),
    (written(b"s\\u006b-" + b"a1" * 10), [f"warning secret {USER}"]),
    (written(b"sk\\u002d" + b"a1" * 10), [f"warning secret {USER}"]),
    (written(b"sk-\\u0031a" + b"a1" * 10), [f"warning secret {USER}"]),
    (written(b"\\u0041KIA" + b"A1" * 8), [f"warning secret {USER}"]),
    (written(b"A\\u004bIA" + b"A1" * 8), [f"warning secret {USER}"]),
    (written(b"-----BEGIN PRIVATE KEY-----"), [f"warning secret {USER}"]),
    (written(b"xoxb-" + b"a1" * 5 + b" hf_" + b"a1" * 15), [f"warning secret {USER}"] * 2),
]
CASES = [*BROKEN, *NUMBERS, *DEPTH, *REPEATED, *CHARACTERS, *SECRETS]


@pytest.mark.parametrize(("line", "expected"), CASES)
def test_a_line_has_these_findings(line: bytes, expected: list[str]) -> None:
    assert found(line) == sorted(expected)


@pytest.mark.parametrize(
    ("line", "offset", "hint"),
    [
        (b'{"a": [1,]}', 9, "Remove the comma"),
        (b'{"a": 1},', 8, "Remove the comma"),
        (b'{"\xc3\xa9": oh}', 7, None),
        (b"a,b,c", 0, "Write one JSON object per line; `./tunery datasets convert` converts a CSV file"),
        (b"\xef\xbb\xbf{}", 0, "Remove the byte order mark"),
        (b'{"a": "\xff"}', 7, None),
    ],
)
def test_a_broken_line_is_located_to_the_byte_with_a_hint(line: bytes, offset: int, hint: str | None) -> None:
    with pytest.raises(UnreadableLine) as raised:
        read_strictly(line)
    assert (raised.value.finding.offset, raised.value.finding.hint) == (offset, hint)


def test_the_texts_in_which_a_pattern_occurs_have_their_paths_in_the_order_of_the_line() -> None:
    value: Any = {"a": ["xb", {"c xd": 1, "e": "f"}], "x": "gx"}
    expected = [("$", "x"), ("$.a[0]", "xb"), ("$.a[1]", "c xd"), ("$.x", "gx")]
    assert list(texts_with(re.compile("x"), value)) == expected
    assert list(texts_with(re.compile("x"), {"c d": {"e": "x"}})) == [('$["c d"].e', "x")]
    assert list(texts_with(re.compile("x"), "x")) == [("$", "x")]


def test_keys_that_are_repeated_among_very_many_do_not_make_a_line_slow() -> None:
    keys = b",".join(b'"k%d":1' % number for number in range(100_000))
    started = process_time()
    findings = read_strictly(b"{" + keys + b',"k7":2}').findings
    assert [finding.code for finding in findings] == ["duplicate_key"]
    assert process_time() - started < 30  # minutes, where each key is compared with each other
