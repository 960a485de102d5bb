"""The check of a file as a whole: which are accepted, what is said of the others, and where."""

from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from shared.datasets.validation.check import check
from shared.datasets.validation.findings.codes import Severity
from shared.datasets.validation.findings.report import MAX_PROBLEMS, Report
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.scanning import processes
from shared.datasets.validation.scanning.scanner import ScanOptions
from tests.shared.dataset_lines import GOOD, NUMBERS, chat, checked, codes, lines

DATA = Path(__file__).parents[4] / "shared" / "data"


def verdicts() -> list[tuple[str, str]]:
    rows = [row.split("|") for row in (DATA / "README.md").read_text().splitlines() if row.startswith("| `")]
    return [(row[1].strip(" `"), row[5].strip()) for row in rows]


@pytest.mark.skipif(not DATA.is_dir(), reason="the datasets lie beside the repository")
@pytest.mark.parametrize(("file", "verdict"), verdicts() if DATA.is_dir() else [])
def test_real_datasets_get_the_verdict_of_their_readme(file: str, verdict: str) -> None:
    report = check(DATA / file)
    assert report.valid == (verdict != "invalid")
    if verdict in ("warn", "valid?"):
        assert codes(report) & {"lone_surrogate", "utf8_bom"}


def test_a_good_file_has_no_problem_and_its_facts() -> None:
    report = checked(GOOD, tokens=True)
    assert (report.valid, report.format, report.examples, report.problems) == (True, "chat", 12, [])
    assert report.sha256 == sha256(GOOD).hexdigest()
    assert report.statistics.shapes == {"system user assistant": 12}
    assert report.sentence() is None
    assert report.error_code is None


def test_an_error_has_its_line_offset_path_code_sentence_and_hint() -> None:
    bad = {"messages": [{"role": "bot", "content": "x"}, {"role": "assistant", "content": "y"}]}
    problem = checked(GOOD + lines(bad)).errors[0]
    assert (problem.code, problem.line, problem.offset) == ("unrecognized_role", 13, len(GOOD))
    assert problem.path == "$.messages[0].role"
    assert problem.message
    assert problem.hint
    assert problem.severity is Severity.ERROR


def test_broken_json_is_located_to_the_byte() -> None:
    problem = checked(GOOD + b'{"messages": [oh]}\n').errors[0]
    assert (problem.code, problem.offset) == ("invalid_json", len(GOOD) + GOOD_START)


GOOD_START = len(b'{"messages": [')


def test_all_errors_of_all_lines_are_told() -> None:
    bad = {"messages": [{"role": "bot"}, {"content": 1}, "x"], "tools": "none"}
    assert codes(checked(GOOD + lines(bad) + b"{\n[]\n")) >= {
        "unrecognized_role",
        "message_missing_key",
        "missing_content",
        "invalid_type",
        "example_missing_assistant_message",
        "invalid_json",
        "data_type",
    }


def test_beyond_a_thousand_only_the_counts_grow() -> None:
    report = checked(GOOD + b"{]\n" * 2500)
    assert len(report.problems) == MAX_PROBLEMS
    assert report.counts["invalid_json"] == 2500
    assert [problem.line for problem in report.problems] == list(range(13, 1013))


def test_warnings_leave_room_for_errors() -> None:
    without_system = lines(*({"messages": chat(n)["messages"][1:]} for n in range(3000)))
    report = checked(without_system + b"{]\n")
    assert report.errors[0].line == 3001
    assert report.counts["missing_system_message"] == 3000
    assert len(report.problems) == 101


def test_too_few_examples_have_a_code_of_their_own() -> None:
    report = checked(lines(*map(chat, range(9))))
    assert (report.error_code, report.valid) == ("invalid_n_examples", False)
    assert report.sentence() == "Training file has 9 example(s), but must have at least 10 examples."


def test_the_sentence_names_the_first_errors_and_how_many_more() -> None:
    report = checked(GOOD + b"{]\n" * 5)
    assert report.error_code == "invalid_training_file"
    assert str(report.sentence()).startswith("Line 13: not JSON")
    assert str(report.sentence()).endswith("And 2 more.")


def test_the_same_answer_everywhere_is_noticed() -> None:
    same = [{"messages": [*chat(n)["messages"][:2], {"role": "assistant", "content": "No."}]} for n in NUMBERS]
    assert "same_completion" in codes(checked(lines(*same)))
    assert "same_completion" not in codes(checked(lines(*same, chat(1))))


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"model": "gpt-4o-mini", "method": "dpo"}, "wrong_format_for_method"),
        ({"method": "reinforcement"}, "last_message_not_user"),
        ({"model": "babbage-002"}, "wrong_format_for_method"),
        ({"model": "gpt-3.5-turbo", "method": "dpo"}, "method_not_supported"),
        ({"model": "gpt-3.5-turbo"}, "model_retired"),
        ({"model": "llama-3"}, "unknown_model"),
    ],
)
def test_a_file_must_fit_its_model_and_method(asked: dict[str, str], code: str) -> None:
    assert code in codes(checked(GOOD, **asked))


def test_examples_without_any_answer_are_for_reinforcement() -> None:
    questions = [{"messages": chat(n)["messages"][1:2], "reference": str(n + 1)} for n in NUMBERS]
    assert (checked(lines(*questions)).format, checked(lines(*questions)).valid) == ("reinforcement", True)
    assert not checked(lines(*questions), method="supervised").valid


def test_a_report_survives_json() -> None:
    report = checked(GOOD + b"{]\n", tokens=True, model="gpt-4o-mini")
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_several_processes_find_the_same_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "many.jsonl"
    tools = lines(chat(3, tools=[]), chat(4, tools="none"))
    path.write_bytes((GOOD + b"{]\n\n" + tools) * 30)
    one = check(path)
    monkeypatch.setattr(processes, "RANGE_BYTES", 4099)
    monkeypatch.setattr(processes, "MIN_PARALLEL_BYTES", 0)
    assert check(path, processes=2) == one
    assert check(path, processes=1) == one
    assert capfd.readouterr().err == ""


def test_progress_is_told_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "RANGE_BYTES", 1000)
    seen: list[tuple[int, int]] = []
    checked(GOOD, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(GOOD), len(GOOD))
    assert sorted(seen) == seen


def test_the_rules_say_when_they_were_checked() -> None:
    assert rules().checked_at.year >= 2026
    assert ScanOptions().provider in rules().providers
