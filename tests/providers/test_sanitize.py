"""Values of any kind, made such that a table can hold them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from worker.providers import sanitize

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "kept"), [("a\0b", "a\ufffdb"), ("\ud800x\udfff", "\ufffdx\ufffd"), (None, "None"), (5, "5"), ("", "")]
)
def test_text_is_storable(value: object, kept: str) -> None:
    assert sanitize.text(value) == kept


@pytest.mark.parametrize(
    ("value", "kept"), [("a", "a"), ("\0", "\ufffd"), ("", None), (None, None), (5, None), ([], None)]
)
def test_some_text_is_a_text_or_nothing(value: object, kept: str | None) -> None:
    assert sanitize.some_text(value) == kept


@pytest.mark.parametrize(("value", "is_id"), [("ft:a", True), ("", False), ("\0", False), (None, False), (7, False)])
def test_an_id_is_a_text_that_can_be_stored_unchanged(value: object, is_id: bool) -> None:
    assert sanitize.is_id(value) is is_id


@pytest.mark.parametrize("value", [0, 12000, 12000.0])
def test_a_whole_number_is_one_however_it_is_written(value: float) -> None:
    assert sanitize.number(value) == int(value)


@pytest.mark.parametrize("value", [-1, 0.5, 2**31, 1e300, float("inf"), NAN, "12000", None, [1]])
def test_a_value_that_is_no_storable_number_gives_the_default(value: object) -> None:
    assert sanitize.number(value, 7) == 7


def test_a_larger_column_holds_a_larger_number() -> None:
    assert sanitize.number(2**40, bits=64) == 2**40
    assert sanitize.number(2**63, bits=64) is None


@pytest.mark.parametrize("value", [0, -1, 1893456000000, 1e300, NAN, "2026-11-23", None, {}])
def test_a_value_that_is_no_unix_time_is_no_time(value: object) -> None:
    assert sanitize.time(value) is None


def test_unix_seconds_are_a_time() -> None:
    assert sanitize.moment("2030-01-01T00:00:00.5Z") == sanitize.moment(1893456000.5)
    assert sanitize.moment("2030-01-01T00:00:00") == datetime(2030, 1, 1, tzinfo=UTC)
    odd: list[object] = ["soon", "9999-99-99T00:00:00Z", "", None, {}, "1893456000"]
    assert [sanitize.moment(each) for each in odd] == [None] * 6
    assert sanitize.time(1893456000.5) == datetime(2030, 1, 1, 0, 0, 0, 500_000, UTC)


JSON: list[tuple[Any, Any]] = [
    ({"\0": ["\ud800", NAN, {"step": 2**70}]}, {"\ufffd": ["\ufffd", None, {"step": 2**70}]}),
    ({"a": True, "b": None, "c": 0.5}, {"a": True, "b": None, "c": 0.5}),
    ("none", None),
    ([], None),
    (None, None),
]


@pytest.mark.parametrize(("value", "kept"), JSON, ids=str)
def test_a_json_object_is_storable_to_its_depths(value: Any, kept: Any) -> None:
    assert sanitize.json_object(value) == kept
