"""Arguments of calls are read by msgspec where it reads what `json` reads; both are asked about mangled JSON."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.datasets.validation.rules.tools import is_json

PIECES = (
    *("[", "]", "{", "}", '"', '"a":', '"a"', ",", ":", " ", "\n", "\t", "\0", "\ufeff", "\u2028", "\ud800", "é"),
    *("0", "1", "-", ".", "e", "E", "+", "999", "e5", "e-999", "1" * 210, "1" * 400, "1" * 5_000),
    *("NaN", "Infinity", "true", "null", "\\", "\\n", "\\u00", "\\ud800", "[" * 101),
)


@settings(max_examples=2_000, deadline=None, database=None)
@given(st.lists(st.sampled_from(PIECES), max_size=6), st.sampled_from(["%s", "[%s]", '"%s"', '{"a":%s}']))
def test_arguments_are_json_if_json_reads_them(pieces: list[str], frame: str) -> None:
    text = frame % "".join(pieces)
    try:
        json.loads(text)
        expected = True
    except (ValueError, RecursionError):
        expected = False
    assert is_json(text) == expected
