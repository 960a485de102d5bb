"""`tunery datasets convert`: every arrangement of JSON and every form of CSV gives the same rows."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from cli.datasets.conversion.rows import Options
from cli.datasets.convert import convert_file
from tests.cli.test_conversion import TURNS, convert, said

ROWS = [{"question": "q, 1", "answer": "a"}, {"question": "q2", "answer": "é"}]
BOTH = [{"messages": said("q, 1", "a")}, {"messages": said("q2", "é")}]
PRETTY = "\n".join(json.dumps(row, indent=2) for row in ROWS)
LINES = [json.dumps(row, ensure_ascii=False) for row in ROWS]
COMMAS = 'question,answer\n"q, 1",a\nq2,é\n'
BY_COLUMN = {key: [row[key] for row in ROWS] for key in ("question", "answer")}

ARRANGEMENTS: list[bytes | str] = [
    "\n".join(LINES),
    "\r\n\r\n".join(LINES),
    ",\n".join(LINES) + ",",
    "".join(LINES),
    PRETTY,
    json.dumps(ROWS),
    json.dumps(ROWS, indent=4),
    json.dumps(ROWS[:1]) + "\n" + json.dumps(ROWS[1:]),
    json.dumps({"data": ROWS}),
    json.dumps({"my rows": ROWS}),
    json.dumps(BY_COLUMN),
    json.dumps({key: dict(enumerate(column)) for key, column in BY_COLUMN.items()}),
    json.dumps({"columns": list(BY_COLUMN), "index": [0, 1], "data": [list(row.values()) for row in ROWS]}),
    json.dumps(dict(enumerate(ROWS))),
    "\n".join(map(str, ROWS)),
    str(ROWS),
    "\ufeff" + LINES[0] + "\n\ufeff" + LINES[1],
    "\n".join(LINES).encode("utf-16"),
    "\n".join(LINES).encode("utf-16-le"),
    COMMAS,
    "\ufeff" + COMMAS,
    COMMAS.replace("\n", "\r\n"),
    COMMAS.replace("\n", "\r"),
    COMMAS.encode("cp1252"),
    COMMAS.encode("utf-16"),
    "sep=;\r\nQUESTION;Answer\r\nq, 1;a\r\nq2;é\r\n",
    "question;answer;;\nq, 1;a;;\n;;;\nq2;é;;\n;;;\n;;;\n",
    "question\tanswer\nq, 1\ta\nq2\té\n",
    "question|answer\nq, 1|a\nq2|é\n",
    'question, answer\n"q, 1", "a"\nq2, é\n',
    "\n\nquestion,answer\n" + COMMAS.split("\n", 1)[1],
]


@pytest.mark.parametrize("content", ARRANGEMENTS)
def test_every_arrangement_of_the_same_rows_gives_the_same_examples(tmp_path: Path, content: bytes | str) -> None:
    result, examples = convert(tmp_path, content, "--strict" if b"index" not in _bytes(content) else "--drop=index")
    assert (result.exit_code, examples) == (0, BOTH), result.output


def _bytes(content: bytes | str) -> bytes:
    return content if isinstance(content, bytes) else content.encode()


@pytest.mark.parametrize("content", [f"{json.dumps(TURNS)}\n{json.dumps(TURNS)}", [TURNS, TURNS]])
def test_a_list_of_turns_is_one_example(tmp_path: Path, content: Any) -> None:
    assert convert(tmp_path, content)[1] == [{"messages": said("q", "a")}] * 2


PLACES = [
    ('question,answer\n"two\nlines",a\nq,\n', 4, "row 3: `answer` is empty"),
    ("sep=,\nquestion,answer\nq,\n", 3, "row 2: `answer` is empty"),
    ('[\n  {\n    "question": "q",\n    "answer": "a"\n  },\n  {"question": "q"}]', 6, "row 2: "),
    ("\n\n{}\n", 3, "expected a JSON object"),
    (PRETTY + '\n{"question": "q"}', 9, "`question` is the question, but there is no answer"),
    ("\n".join([LINES[0], LINES[0][:-9], LINES[1]]), 2, "not JSON"),
    ("\n".join([LINES[0] + '{"question" 1}' + LINES[0], LINES[1]]), 1, "not JSON"),
]


@pytest.mark.parametrize(("content", "line", "why"), PLACES)
def test_a_row_that_cannot_be_converted_is_told_with_its_line(
    tmp_path: Path, content: str, line: int, why: str
) -> None:
    result, _ = convert(tmp_path, content)
    assert result.exit_code == 3
    assert f"source:{line}: {why}" in result.stderr


@pytest.mark.parametrize("broken", ['{"question" "x"}', '{"question": "x', '{"question": "x"', "{question: 1}"])
def test_only_the_broken_row_is_left_out(tmp_path: Path, broken: str) -> None:
    result, examples = convert(tmp_path, "\n".join([LINES[0], broken, LINES[1]]), "--skip-invalid")
    assert (result.exit_code, examples) == (0, BOTH)
    assert "3 rows in, 2 out, 1 left out" in result.stderr


def test_the_same_reason_is_told_once_with_all_its_lines(tmp_path: Path) -> None:
    result, _ = convert(tmp_path, LINES[0] + "\n" + '{"question": ""}\n' * 4)
    assert result.stderr.count("`question` is empty") == 1
    assert "The same in lines 3–5." in result.stderr


def test_windows_text_is_shown_because_it_is_a_guess(tmp_path: Path) -> None:
    assert "read as Windows-1252: «q2,é»" in convert(tmp_path, COMMAS.encode("cp1252"))[0].stderr


def test_names_that_are_not_known_can_be_given(tmp_path: Path) -> None:
    options = ("--rename", "Frage=question", "--rename", "Antwort=answer", "--strict")
    assert convert(tmp_path, 'Frage;Antwort\n"q, 1";a\nq2;é\n', *options)[1] == BOTH


def test_rows_can_be_chosen_where_several_keys_hold_some(tmp_path: Path) -> None:
    content = {"train": ROWS, "test": ROWS[:1]}
    assert convert(tmp_path, content, "--rows", "train", "--drop", "test", "--strict")[1] == BOTH


def test_the_target_may_be_the_source_and_stays_whole_if_the_data_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for content, written in ((json.dumps(ROWS), True), (LINES[0] + "\n{]", False)):
        file.write_text(content)
        outcome = convert_file(file, file, Options(), skip_invalid=False, strict=False)
        assert (outcome.refusal is None) == written
        assert (file.read_text() == content) != written


@pytest.mark.parametrize("begin_and_end", [("", ""), ("[", "]"), ('{"data": [', "]}")])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, begin_and_end: tuple[str, str]) -> None:
    begin, end = begin_and_end
    convert(tmp_path, ROWS)  # what is imported at the first conversion is not counted
    source = tmp_path / "source"
    row = json.dumps({"question": "q" * 10_000, "answer": "a" * 10_000})
    source.write_text(begin + ",\n".join([row] * 500) + end)
    tracemalloc.start()
    try:
        outcome = convert_file(source, tmp_path / "target", Options(), skip_invalid=False, strict=False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert outcome.rows_out == 500
    assert peak < source.stat().st_size / 2
