"""Bad input neither crashes the check, nor hangs it, nor is accepted silently."""

import gzip
import json
from pathlib import Path

import pytest

from shared.datasets.validation.check import check
from tests.shared.dataset_lines import GOOD, chat, checked, codes, lines, said


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"\n \n", "empty_file"),
        (gzip.compress(GOOD), "unsupported_file_type"),
        (b"PK\x03\x04" + GOOD, "unsupported_file_type"),
        (b"PAR1" + GOOD, "unsupported_file_type"),
        (GOOD.decode().encode("utf-16"), "not_utf8"),
        (GOOD.decode().encode("utf-16-be"), "not_utf8"),
        (GOOD.decode().encode("utf-16-le"), "not_utf8"),
        (json.dumps([chat(1), chat(2)]).encode(), "json_array"),
        (json.dumps([chat(1), chat(2)], indent=2).encode(), "json_array"),
    ],
)
def test_what_is_no_json_lines_at_all_is_said_once(content: bytes, code: str) -> None:
    report = checked(content)
    assert not report.valid
    assert [problem.code for problem in report.problems] == [code]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'{"messages": [{"role": "user", "content": "\xff"}]}', "invalid_utf8"),
        (b'{"messages": [{"role": "user", "content": "\x00"}]}', "invalid_json"),
        (json.dumps(chat()).encode() + b",", "invalid_json"),
        (b'{"messages": [{"role": "user", "content": "a"},]}', "invalid_json"),
        (b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested_too_deeply"),
        (b'{"messages": ' + b"[" * 100_000, "nested_too_deeply"),
        (b'{"messages": [], "x": NaN}', "non_finite_number"),
        (b'{"messages": [], "x": -Infinity}', "non_finite_number"),
        (b'{"messages": [], "x": 1e999}', "non_finite_number"),
        (b'{"messages": [], "x": ' + b"9" * 5000 + b"}", "number_too_long"),
        (b'{"messages": [], "x": 0.' + b"9" * 5000 + b"}", "number_too_long"),
        (b"{}", "missing_messages_list"),
        (b'{"messages": []}', "missing_messages_list"),
        (b'{"messages": "hello"}', "missing_messages_list"),
        (b'"hello"', "data_type"),
        (b"null", "data_type"),
        (b'{"prompt": "a", "completion": "b"}', "mixed_formats"),
        (json.dumps(chat()).encode() * 2, "invalid_json"),
    ],
)
def test_a_bad_line_is_an_error(line: bytes, code: str) -> None:
    report = checked(GOOD + line + b"\n" + GOOD)
    assert {problem.code for problem in report.errors} == {code}
    assert {problem.line for problem in report.errors} == {13}
    assert report.examples == 25


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\xef\xbb\xbf" + GOOD, "utf8_bom"),
        (GOOD + b"\n" + GOOD.replace(b"What", b"Which"), "blank_line"),
        (GOOD + said(r"\ud800"), "lone_surrogate"),
        (GOOD + said(r"\u0000"), "nul_character"),
        (GOOD + said("a", ', "content": "c"'), "duplicate_key"),
        (GOOD + said("a", r', "c\u006fntent": "c"'), "duplicate_key"),
        (GOOD + lines({"messages": chat()["messages"] * 3333}), "many_messages"),
        (GOOD + said("my key is sk-" + "a1" * 12), "secret"),
        (GOOD + lines(chat(1)), "duplicate_example"),
        (GOOD + said("?").replace(b'"b"', b'"!"') * 2, "duplicate_example"),
        (GOOD + lines(chat(1)).replace(b"What is", b"what  is").replace(b"one?", b"one"), "near_duplicate_example"),
        (GOOD + lines(chat(20, extra=1)), "unrecognized_key"),
        (GOOD + lines({"messages": chat(20)["messages"][:1] + chat(20)["messages"][2:]}), "missing_user_message"),
        (GOOD + said("a", ', "weight": 0'), "nothing_trained"),
    ],
)
def test_what_is_doubtful_is_a_warning(content: bytes, code: str) -> None:
    report = checked(content)
    assert report.valid
    assert code in codes(report)


@pytest.mark.parametrize("word", ["task-oriented-dialogue-systems", "sk-learn-and-its-many-friends", "sk-short"])
def test_words_with_hyphens_are_no_secrets(word: str) -> None:
    assert checked(GOOD + said(word)).counts == {"missing_system_message": 1}


@pytest.mark.parametrize(
    "key",
    ["sk-proj-a1B2c3D4e5F6g7H8i9J0", "AKIAIOSFODNN7EXAMPLE", "ghp_" + "a1" * 18, "-----BEGIN RSA PRIVATE KEY-----"],
)
def test_keys_are_found_and_not_repeated(key: str) -> None:
    problem = next(problem for problem in checked(GOOD + said(f"it is {key}.")).problems if problem.code == "secret")
    assert (problem.line, problem.path) == (13, "$.messages[0].content")
    assert key not in problem.message


def test_crlf_line_ends_are_no_problem() -> None:
    assert checked(GOOD.replace(b"\n", b"\r\n")).problems == []


def test_a_line_of_200_mb_is_refused_and_its_neighbours_are_read(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    with path.open("wb") as file:
        file.write(GOOD + b'{"messages": "')
        file.seek(200 << 20, 1)
        file.write(b'"}\n' + GOOD.replace(b"What", b"Which") + b"{]\n")
    report = check(path, tokens=False)
    assert [(problem.code, problem.line) for problem in report.errors] == [("line_too_long", 13), ("invalid_json", 26)]
    assert f"{(200 << 20) + 17:,} bytes" in report.errors[0].message
