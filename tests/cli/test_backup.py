"""A backup is whole or none, and what is restored is equal to it, row by row and byte by byte."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import make_url

from shared.datasets.storage import store
from shared.settings import get_settings
from tests.api.uploading import DATA, begin, cut, send_parts
from tests.cli.terminal import Tunery
from tests.storage_locations import BUCKET, StorageLocation, variables
from tests.worker.support import endpoint_of, settings
from tests.world import Person, variables_of_this_test, work

MANIFEST = "manifest.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backup"


@pytest.fixture
def file_id(alice: Person) -> str:
    """A file, and a secret that is sealed."""
    endpoint_of(alice, "https://receiver.example/hook")
    return alice.upload()


@contextmanager
def elsewhere(database: str, storage: str, **values: str) -> Iterator[None]:
    """The settings of another installation, whose servers log in as those of this one do."""
    now, new = make_url(get_settings().database_url), make_url(database)
    login = now.set(database=new.database).render_as_string(hide_password=False)
    with settings(DATABASE_URL=login, TUNERY_MIGRATION_DATABASE_URL=database, TUNERY_STORAGE=storage, **values):
        yield


@pytest.fixture
def empty(empty_database: str, tmp_path: Path) -> Iterator[str]:
    with elsewhere(empty_database, str(tmp_path / "restored")):
        yield empty_database


def rows(database: str) -> dict[str, list[str]]:
    """The hash of each row, by table."""
    with psycopg.connect(database.replace("+psycopg", "")) as connection:
        tables = connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        return {
            table: sorted(str(row[0]) for row in connection.execute(f"select md5(t::text) from {table} t".encode()))
            for (table,) in tables
        }


def hashes(*ids: str) -> dict[str, str]:
    found = {}
    for id in ids:
        with store.open_dataset(id) as file:
            found[id] = sha256(file.read()).hexdigest()
    return found


def backed_up(tunery: Tunery, folder: Path) -> dict[str, Any]:
    assert tunery("backup", str(folder)).code == 0
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
    return manifest


def owner() -> str:
    return get_settings().migration_database_url or ""


def test_all_rows_and_files_are_restored_equal(
    alice: Person, location: StorageLocation, folder: Path, tunery: Tunery, empty_database: str, tmp_path: Path
) -> None:
    parts = send_parts(alice, (upload := begin(alice)).id, cut(DATA))
    joined = alice.openai.uploads.complete(upload.id, part_ids=parts).file
    assert joined is not None
    received = send_parts(alice, begin(alice).id, cut(DATA)[:2])  # of an upload that goes on after the restore
    endpoint_of(alice, "https://receiver.example/hook")
    alice.create_job(training_file=alice.upload())
    alice.openai.files.delete(alice.upload(b"deleted"))
    work(3)
    named = [joined.id, *[file.id for file in alice.openai.files.list()], *received]
    before, bytes_before = rows(owner()), hashes(*named)
    manifest = backed_up(tunery, folder)
    assert manifest["files"] == len(bytes_before)
    another = str(tmp_path / "restored") if location.endpoint is None else f"{location.setting}-restored"
    with elsewhere(empty_database, another):
        assert tunery("restore", str(folder)).code == 0
        assert rows(owner()) == before
        assert hashes(*named) == bytes_before
        assert tunery("migrate").code == 0
        assert rows(owner()) == before


def test_a_files_backup_does_not_depend_on_how_it_was_stored(
    file_id: str, folder: Path, tunery: Tunery, empty_database: str, s3_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = hashes(file_id)
    backed_up(tunery, folder)
    for name, value in variables(s3_address).items():
        monkeypatch.setenv(name, value)
    with elsewhere(empty_database, f"s3://{BUCKET}/moved-{folder.parent.name}"):
        assert tunery("restore", str(folder)).code == 0
        assert hashes(file_id) == before


def test_a_backup_that_was_killed_is_none(
    file_id: str, folder: Path, tunery: Tunery, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "pg_dump").write_text('#!/bin/sh\necho half of a dump\nkill -9 "$PPID"\n')
    (programs / "pg_dump").chmod(0o755)
    environ = os.environ | variables_of_this_test()
    environ |= {"TUNERY_MIGRATION_DATABASE_URL": owner(), "TUNERY_PG_BIN": str(programs)}
    killed = subprocess.run([sys.executable, "-m", "cli", "backup", str(folder)], env=environ, check=False)
    assert killed.returncode == -9
    assert (folder / "files" / file_id).exists()
    request.getfixturevalue("empty")
    said = tunery("restore", str(folder))
    assert said.code == 1
    assert "is no whole backup: it has no manifest.json" in said.err
    assert "is not empty: name a new folder" in tunery("backup", str(folder)).err


@pytest.mark.parametrize("name", ["database.dump", "files.jsonl", "files/FILE"])
@pytest.mark.parametrize("change", ["one bit", "cut", "removed"])
def test_a_damaged_part_is_named_before_anything_is_restored(
    file_id: str, folder: Path, tunery: Tunery, request: pytest.FixtureRequest, name: str, change: str
) -> None:
    backed_up(tunery, folder)
    path = folder / name.replace("FILE", file_id)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    if change != "removed":
        path.write_bytes(content if change == "one bit" else content[:-1])
    assert (
        f"{path} is {'missing' if change == 'removed' else 'damaged'}" in tunery("restore", "--check", str(folder)).err
    )
    database = request.getfixturevalue("empty")
    said = tunery("restore", str(folder))
    assert said.code == 1
    assert str(path) in said.err
    assert rows(database) == {}
    assert store.first_key() is None


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"revision": "fffffff"}, "has the schema fffffff of Tunery"),
        ({"format": 2}, "has another format than 1"),
        ({"owner": "somebody"}, "belong to somebody"),
        ({"keys": ["abcd1234"]}, "TUNERY_SECRET_KEYS lacks the key abcd1234"),
        ({"more": 1}, "is damaged"),
    ],
)
def test_a_backup_that_does_not_fit_is_refused_in_a_sentence(
    file_id: str, folder: Path, tunery: Tunery, request: pytest.FixtureRequest, changed: dict[str, Any], told: str
) -> None:
    manifest = backed_up(tunery, folder)
    (folder / MANIFEST).write_text(json.dumps(manifest | changed))
    database = request.getfixturevalue("empty")
    said = tunery("restore", str(folder))
    assert (said.code, rows(database)) == (1, {})
    assert told in said.err


def test_a_missing_key_is_named_and_can_be_given_up(
    file_id: str, folder: Path, tunery: Tunery, empty_database: str, tmp_path: Path
) -> None:
    (key,) = backed_up(tunery, folder)["keys"]
    new = json.dumps([Fernet.generate_key().decode()])
    with elsewhere(empty_database, str(tmp_path / "restored"), TUNERY_SECRET_KEYS=new):
        said = tunery("restore", str(folder))
        assert f"lacks the key {key}" in said.err
        assert rows(owner()) == {}
        assert tunery("restore", "--without-key", key, str(folder)).code == 0
        assert f"lacks the key {key}" in str(tunery("migrate").code)


def test_nothing_is_restored_over_a_database(file_id: str, folder: Path, tunery: Tunery, tmp_path: Path) -> None:
    backed_up(tunery, folder)
    before = rows(owner())
    with settings(TUNERY_STORAGE=str(tmp_path / "another")):
        said = tunery("restore", str(folder))
        assert store.first_key() is None
    assert said.code == 1
    assert "The database is not empty" in said.err
    assert rows(owner()) == before


def test_nothing_is_restored_over_a_storage(file_id: str, folder: Path, tunery: Tunery, empty_database: str) -> None:
    backed_up(tunery, folder)
    with elsewhere(empty_database, get_settings().storage):
        said = tunery("restore", str(folder))
    assert said.code == 1
    assert "TUNERY_STORAGE is not empty: it has " in said.err
    assert rows(empty_database) == {}


def test_a_file_that_the_storage_has_lost_or_damaged_is_told_and_the_rest_is_kept(
    alice: Person, folder: Path, tunery: Tunery, empty_database: str, tmp_path: Path
) -> None:
    kept, lost, damaged = alice.upload(), alice.upload(b"lost"), alice.upload(b"damaged")
    files = Path(get_settings().storage)
    (files / lost).unlink()
    (files / damaged).write_bytes(b"DAMAGED")
    said = tunery("backup", str(folder))
    assert said.code == 1
    assert f"{lost} is not in the storage" in said.err
    assert f"{damaged} is damaged in the storage" in said.err
    with elsewhere(empty_database, str(tmp_path / "restored")):
        assert tunery("restore", str(folder)).code == 0
        assert hashes(kept, damaged)[damaged] == sha256(b"DAMAGED").hexdigest()


def test_without_pg_dump_a_sentence_says_so(
    clean: str, folder: Path, tunery: Tunery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNERY_PG_BIN", str(tmp_path))
    assert f"No `pg_dump` was found in {tmp_path}" in tunery("backup", str(folder)).err


def test_a_pg_dump_that_fails_leaves_no_backup(
    clean: str, folder: Path, tunery: Tunery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pg_dump").write_text("#!/bin/sh\necho no such server >&2\nexit 3\n")
    (tmp_path / "pg_dump").chmod(0o755)
    monkeypatch.setenv("TUNERY_PG_BIN", str(tmp_path))
    said = tunery("backup", str(folder))
    assert (said.code, (folder / MANIFEST).exists()) == (1, False)
    assert "pg_dump failed with code 3: no such server" in said.err
