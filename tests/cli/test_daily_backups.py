"""Backups that are made each day: the last ones are kept, and each may be copied into a bucket."""

from pathlib import Path

import pytest

from shared.datasets.storage.s3 import Bucket
from tests.cli.terminal import Tunery
from tests.cli.test_backup import MANIFEST, file_id, folder
from tests.storage_locations import BUCKET, StorageLocation, variables

__all__ = ["file_id", "folder"]  # fixtures


def test_of_dated_backups_the_last_whole_ones_are_kept(file_id: str, folder: Path, tunery: Tunery) -> None:
    old = ["2026-01-01T00-00-00Z", "2026-01-02T00-00-00Z", "2026-01-03T00-00-00Z", "2026-01-04T00-00-00Z"]
    for name in [*old, "2026", "of mine"]:
        (folder / name).mkdir(parents=True)
    for name in [old[0], old[2], "2026"]:  # the others were cut off
        (folder / name / MANIFEST).touch()
    said = tunery("backup", "--keep", "2", str(folder))
    assert (said.code, said.err) == (0, "")
    assert f"Removed: {old[0]}, {old[1]}.\n" in said.out
    (new,) = {path.name for path in folder.iterdir()} - {*old, "2026", "of mine"}
    assert {path.name for path in folder.iterdir()} == {new, old[2], old[3], "2026", "of mine"}
    assert tunery("restore", "--check", str(folder / new)).code == 0


def test_the_first_dated_backup_makes_its_folder_and_a_failed_one_removes_nothing(
    file_id: str, folder: Path, tunery: Tunery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tunery("backup", "--keep", "1", str(folder)).code == 0
    (first,) = folder.iterdir()
    (tmp_path / "pg_dump").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "pg_dump").chmod(0o755)
    monkeypatch.setenv("TUNERY_PG_BIN", str(tmp_path))
    assert tunery("backup", "--keep", "1", str(folder)).code == 1
    assert (first / MANIFEST).exists()


def test_a_copy_in_a_bucket_is_the_whole_backup(
    file_id: str, folder: Path, tunery: Tunery, tmp_path: Path, s3_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables(s3_address).items():
        monkeypatch.setenv(name, value)
    copies = StorageLocation(f"s3://{BUCKET}/copies-{tmp_path.name}/{folder.name}", s3_address)
    said = tunery("backup", str(folder), "--copy-to", f"s3://{BUCKET}/copies-{tmp_path.name}/")
    assert (said.code, said.err) == (0, "")
    assert f"Copied: {copies.setting}\n" in said.out
    assert copies.names() == sorted(["database.dump", "files.jsonl", f"files/{file_id}", MANIFEST])
    fetched = tmp_path / "fetched"
    for name in copies.names():
        (fetched / name).parent.mkdir(parents=True, exist_ok=True)
        (fetched / name).write_bytes(Bucket(copies.setting).get(name))
    assert tunery("restore", "--check", str(fetched)).code == 0


@pytest.mark.parametrize(
    ("url", "told", "is_there"),
    [
        ("backups", "backups is no bucket: name one as s3://bucket/prefix.", False),
        ("s3://", "s3:// is no bucket", False),
        ("s3://nobodys", "backup is whole, but could not be copied to s3://nobodys/backup: ", True),
    ],
)
def test_a_copy_that_cannot_be_made_is_told(
    file_id: str,
    folder: Path,
    tunery: Tunery,
    s3_address: str,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    told: str,
    *,
    is_there: bool,
) -> None:
    for name, value in variables(s3_address).items():
        monkeypatch.setenv(name, value)
    said = tunery("backup", str(folder), "--copy-to", url)
    assert (said.code, (folder / MANIFEST).exists()) == (1, is_there)
    assert told in said.err
