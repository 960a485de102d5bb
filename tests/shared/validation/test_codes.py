"""Every code is produced by some case of these tables, and each has a hint that says what to do."""

import pytest

from shared.datasets.validation.findings.codes import CODES, Severity, severity_of
from shared.datasets.validation.findings.problem import problem
from tests.shared.validation import (
    test_formats,
    test_images,
    test_messages,
    test_sniff,
    test_strict_json,
    test_tools,
)
from tests.shared.validation import test_whole_file as whole_file

# Produced by tests that need a file of several lines: test_bad_input, test_duplicates, test_overlap, test_stopping and
# test_tokens; invalid_parameters by test_tool_schema, wrong_shape by test_shapes.
OF_SEVERAL_LINES = {
    "blank_line",
    "check_stopped",
    "duplicate_example",
    "in_both_files",
    "invalid_parameters",
    "line_too_long",
    "near_duplicate_example",
    "too_many_findings",
    "truncated",
    "utf8_bom",
    "wrong_shape",
}
VERBS = {
    "Add",
    "Check",
    "Choose",
    "Convert",
    "Correct",
    "Encode",
    "Give",
    "Keep",
    "Link",
    "Make",
    "Move",
    "Remove",
    "Revoke",
    "Save",
    "Set",
    "Shorten",
    "Split",
    "Train",
    "Upload",
    "Use",
    "Vary",
    "Write",
}


def produced() -> set[str]:
    tables = [
        *(
            expected
            for _, expected in [*test_messages.CASES, *test_tools.CASES, *test_strict_json.CASES, *test_images.DATA]
        ),
        *(expected for _, _, expected in [*test_formats.CASES, *whole_file.FITNESS, *whole_file.CONTENT]),
    ]
    codes = {finding.split()[1] for expected in tables for finding in expected}
    return codes | {code for _, code in test_sniff.STARTS if code}


def test_every_code_is_produced_by_a_case() -> None:
    assert produced() | OF_SEVERAL_LINES == set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_a_hint_says_what_to_do(code: str) -> None:
    assert CODES[code].hint.split()[0].rstrip(":,") in VERBS


def test_a_problem_takes_severity_and_hint_from_its_code_unless_another_hint_is_given() -> None:
    assert problem("blank_line", "a").severity is severity_of("blank_line") is Severity.WARNING
    assert problem("blank_line", "a").hint == CODES["blank_line"].hint
    assert problem("blank_line", "a", hint="b").hint == "b"
    assert problem("blank_line", "a", line=3).moved(4).line == 7
    assert problem("empty_file", "a").moved(4).line is None
