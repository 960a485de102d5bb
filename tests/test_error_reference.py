"""docs/reference/errors.md explains each error code of the source, with its statuses."""

import re
from pathlib import Path

import pytest

from tests.error_codes import error_codes

PAGE = (Path(__file__).parent.parent / "docs" / "reference" / "errors.md").read_text()
EXPLAINED: dict[str, str] = dict(re.findall(r"^### `(\w+)`\n\n\*\*(.+?)\.\*\* \S", PAGE, re.MULTILINE))
CODES = error_codes()


def test_each_code_of_the_source_is_explained_and_no_other() -> None:
    missing = [f"add to docs/reference/errors.md: ### `{code}`" for code in sorted(CODES) if code not in EXPLAINED]
    assert missing == []
    assert sorted(set(EXPLAINED) - set(CODES)) == []
    assert re.findall(r"^### `(\w+)`", PAGE, re.MULTILINE) == list(EXPLAINED)


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_listed_with_each_status_that_the_source_answers_it_with(code: str) -> None:
    assert {str(status) for status in CODES[code]} <= set(EXPLAINED[code].split(", "))


def test_codes_are_in_alphabetical_order_under_each_subject() -> None:
    for subject in PAGE.split("\n## ")[1:]:
        codes = re.findall(r"^### `(\w+)`", subject, re.MULTILINE)
        assert codes == sorted(codes)
