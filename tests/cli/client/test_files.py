"""`tunery files`: what goes in comes out, and standard output has the data alone."""

import json
from pathlib import Path

import pytest

from cli.client import file_requests
from tests.cli.terminal import Tunery
from tests.world import Person, lines, work


def test_an_upload_prints_the_id_alone(at_alices: Person, tunery: Tunery, train: Path) -> None:
    said = tunery("files", "upload", str(train))
    [file] = at_alices.openai.files.list().data
    assert (said.code, said.out) == (0, f"{file.id}\n")
    assert (file.filename, file.purpose, file.bytes) == ("train.jsonl", "fine-tune", len(lines()))
    assert f"./tunery files show {file.id}" in said.err


def test_an_upload_for_programs_is_the_files_object(at_alices: Person, tunery: Tunery, train: Path) -> None:
    said = tunery("files", "upload", str(train), "--purpose", "batch", "--json")
    assert json.loads(said.out) == at_alices.http.get(f"/files/{json.loads(said.out)['id']}").json()


@pytest.mark.parametrize("named", ["missing.jsonl", "file-1"])
def test_a_file_that_is_not_here_is_a_sentence(at_alices: Person, tunery: Tunery, named: str) -> None:
    said = tunery("files", "upload", named)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"There is no file {named} here.")


def test_a_list_pages_by_limit_and_after_or_has_all(at_alices: Person, tunery: Tunery) -> None:
    ids = [at_alices.upload(name=f"{number}.jsonl") for number in range(3)][::-1]

    def listed(*options: str) -> tuple[list[str], bool]:
        page = json.loads(tunery("files", "list", "--json", *options).out)
        return [file["id"] for file in page["data"]], page["has_more"]

    assert listed("--limit", "2") == (ids[:2], True)
    assert listed("--limit", "2", "--after", ids[1]) == (ids[2:], False)
    assert listed("--all") == (ids, False)
    assert listed("--purpose", "batch") == ([], False)
    said = tunery("files", "list", "--limit", "1")
    titles, row = said.out.splitlines()
    assert titles.split() == ["FILE", "STATUS", "CREATED", "SIZE", "PURPOSE", "NAME"]
    assert (row.split()[0], row.split()[-1]) == (ids[0], "2.jsonl")
    assert said.err == f"There are more: --after {ids[0]}, or --all.\n"


def test_a_long_name_does_not_make_a_line_too_long(at_alices: Person, tunery: Tunery) -> None:
    at_alices.upload(name=f"{'n' * 100}.jsonl")
    assert max(map(len, tunery("files", "list").out.splitlines())) <= 100


def test_a_file_that_cannot_be_trained_on_says_why_and_where_the_rest_is(at_alices: Person, tunery: Tunery) -> None:
    file_id = at_alices.upload(b'{"messages": []}\n' * 10)
    work()
    said = tunery("files", "show", file_id)
    assert "error" in said.out
    assert said.err == f"All of its errors: ./tunery datasets errors {file_id}\n"
    listed = tunery("datasets", "errors", file_id)
    assert (listed.code, listed.err) == (3, "")
    assert listed.out.startswith(f"{file_id}:1: ")


def test_a_download_is_the_uploads_bytes(at_alices: Person, tunery: Tunery, train: Path, tmp_path: Path) -> None:
    file_id = at_alices.upload()
    target = tmp_path / "again.jsonl"
    said = tunery("files", "download", file_id, str(target), "--json")
    assert json.loads(said.out) == {"id": file_id, "path": str(target), "bytes": len(lines())}
    assert target.read_bytes() == lines()


def test_a_download_that_is_refused_leaves_the_target_alone(at_alices: Person, tunery: Tunery, train: Path) -> None:
    said = tunery("files", "download", "file-missing", str(train))
    assert (said.code, said.out) == (1, "")
    assert train.read_bytes() == lines()
    assert sorted(path.name for path in train.parent.iterdir()) == ["train.jsonl"]


def test_a_file_is_deleted_only_after_a_yes(
    at_alices: Person, tunery: Tunery, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file_id = at_alices.upload()
    for answer, sentence in (("", "Say -y to go on"), ("n\n", "Nothing was done.")):
        (tmp_path / "answer").write_text(answer)
        with (tmp_path / "answer").open() as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            said = tunery("files", "delete", file_id)
        assert (said.code, said.out) == (1, "")
        assert sentence in said.err
    assert tunery("files", "delete", file_id, "-y").out == f"{file_id} is deleted.\n"
    assert at_alices.openai.files.list().data == []


def test_a_large_file_is_sent_in_parts(
    at_alices: Person, tunery: Tunery, train: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_requests, "CHUNKED_ABOVE", 100)
    said = tunery("files", "upload", str(train))
    assert (said.code, said.out.startswith("file-")) == (0, True)
    assert at_alices.openai.files.content(said.out.strip()).read() == lines()


def test_quotas_are_shown_with_use_and_limit(at_alices: Person, tunery: Tunery) -> None:
    at_alices.upload()
    said = tunery("files", "quotas")
    rows = [line.split() for line in said.out.splitlines()]
    assert rows[0] == ["QUOTA", "USED", "LIMIT"]
    assert ["files", "1", "100000"] in rows
    assert ["file", "bytes", str(len(lines())), str(1 << 40)] in rows
    assert json.loads(tunery("files", "quotas", "--json").out) == at_alices.http.get("/project").json()["quotas"]
