"""Where bytes lie: in a folder and in a bucket alike, whole and in parts, and nothing of what was not finished."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from io import SEEK_CUR, SEEK_END, BytesIO
from pathlib import Path

import pytest

from shared.datasets.storage import store as storage
from shared.datasets.storage.s3 import PIECE_BYTES
from shared.datasets.validation.check import check
from shared.datasets.validation.scanning import processes
from shared.datasets.validation.scanning.child_process import open_again
from shared.settings import get_settings
from tests.servers import Receiver, closed_port
from tests.shared.dataset_lines import GOOD
from tests.shared.process import ROOT
from tests.storage_locations import StorageLocation, variables
from tests.worker.support import settings
from tests.world import environment

NOW = timedelta(seconds=-2)  # older than the future: what S3 has written this second is old enough, too
LARGE = 2 * PIECE_BYTES + 12_345


def content(size: int, seed: int = 0) -> bytes:
    """Lines of different lengths, so that none ends where a piece does."""
    line = sha256(bytes([seed])).hexdigest().encode()
    return b"".join(line[: 1 + number % 63] + b"\n" for number in range(size // 33 + 100))[:size]


def store(id: str, data: bytes, at_once: int = 1 << 20) -> str:
    writer = storage.Writer(id)
    for start in range(0, len(data), at_once):
        writer.write(data[start : start + at_once])
    return writer.finish()


@pytest.mark.parametrize("size", [0, 1, 1 << 20, PIECE_BYTES, LARGE])
def test_what_was_written_is_read(location: StorageLocation, size: int) -> None:
    data = content(size)
    assert store("file-1", data) == sha256(data).hexdigest()
    with storage.open_dataset("file-1") as file:
        assert file.read() == data


def test_a_file_can_be_read_by_range_and_by_line(location: StorageLocation) -> None:
    data = content(LARGE)
    store("file-1", data)
    with storage.open_dataset("file-1") as file:
        for start in (0, 5, PIECE_BYTES - 3, PIECE_BYTES, LARGE - 2, LARGE, LARGE + 9):
            assert (file.seek(start), file.read(7)) == (start, data[start : start + 7])
        file.seek(10)
        assert file.read(LARGE - 20) == data[10:-10]
        assert file.seek(-10, SEEK_END) == LARGE - 10
        assert file.seek(3, SEEK_CUR) == file.tell() == LARGE - 7
        assert file.read() == data[-7:]
        file.seek(0)
        assert sum(len(line) for line in file) == LARGE
        file.seek(PIECE_BYTES - 20)
        assert file.readline() == data[PIECE_BYTES - 20 :].split(b"\n")[0] + b"\n"
        with pytest.raises((OSError, ValueError)):
            file.seek(-1)


def test_parts_are_joined_without_being_copied_and_go_with_the_dataset(location: StorageLocation) -> None:
    parts = {"part_a": content(LARGE, 1), "part_b": content(700, 2), "part_c": content(1, 3)}
    for id, data in parts.items():
        store(id, data)
    before = location.names()
    order = ["part_c", "part_a", "part_b"]
    storage.join("file-1", order)
    assert set(location.names()) - set(before) == {"file-1.parts"}
    with storage.open_dataset("file-1") as joined, storage.open_parts(order) as apart:
        assert joined.read() == apart.read() == b"".join(parts[id] for id in order)
    storage.remove("file-1")
    assert location.names() == []


def test_several_processes_check_what_lies_there(
    location: StorageLocation, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    data = GOOD * 2000
    for number, start in enumerate(range(0, len(data), 1_500_000)):
        store(f"part_{number}", data[start : start + 1_500_000])
    storage.join("file-1", [f"part_{number}" for number in range(number + 1)])
    monkeypatch.setattr(processes, "MIN_PARALLEL_BYTES", 0)
    monkeypatch.setattr(processes, "RANGE_BYTES", 1_000_000)
    with storage.open_dataset("file-1") as file:
        source = processes.source_of(file)
        assert source is not None
        assert check(file, tokens=False, processes=2) == check(BytesIO(data), tokens=False)
    with open_again(source) as file:
        assert file.read() == data
    assert capfd.readouterr().err == ""


def test_parts_outlive_a_join_that_is_undone(location: StorageLocation) -> None:
    store("part_a", b"a")
    storage.join("file-1", ["part_a"])
    storage.unjoin("file-1")
    assert location.names() == ["part_a"]


def test_nothing_can_be_read_before_all_is_written(location: StorageLocation) -> None:
    writer = storage.Writer("file-1")
    writer.write(content(LARGE))
    with pytest.raises(FileNotFoundError):
        storage.open_dataset("file-1")
    writer.finish()
    with storage.open_dataset("file-1") as file:
        assert len(file.read()) == LARGE


@pytest.mark.parametrize("finished", [False, True])
def test_what_is_discarded_leaves_nothing(location: StorageLocation, finished: bool) -> None:
    writer = storage.Writer("file-1")
    writer.write(content(LARGE))
    if finished:
        writer.finish()
    writer.discard()
    assert location.names() == []


def test_to_remove_what_is_not_there_is_no_trouble(location: StorageLocation) -> None:
    storage.remove("file-1", "part_a")
    store("file-1", content(LARGE))
    for _ in range(2):
        storage.remove("file-1")
    assert location.names() == []


def test_what_an_attempt_left_is_in_nobodys_way(location: StorageLocation) -> None:
    kill_while_it_writes()
    storage.remove("file-1")
    store("file-1", b"again")
    assert location.names() == ["file-1"]


KILLED = """
from shared.datasets.storage.store import Writer
writer = Writer("file-1")
for _ in range(20):
    writer.write(bytes(1 << 20))
print("written", flush=True)
input()
"""


def test_what_a_killed_process_left_is_removed_and_nothing_else(location: StorageLocation) -> None:
    store("file-known", content(LARGE))
    store("part_known", b"a")
    store("part_orphan", content(LARGE))
    storage.join("file-orphan", ["part_known"])
    kill_while_it_writes()
    assert any(name.startswith("file-1") for name in location.names())
    before = len(location.names())
    assert storage.remove_leftovers(lambda ids: set(ids), timedelta(hours=1)) == []
    removed = storage.remove_leftovers(lambda ids: {"file-known", "part_known"} & set(ids), NOW)
    assert len(removed) == before - len(location.names())
    assert {name.split(".")[0].split("/")[0] for name in location.names()} == {"file-known", "part_known"}
    with storage.open_dataset("file-known") as file:
        assert file.read() == content(LARGE)


def kill_while_it_writes() -> None:
    now = get_settings()
    environ = {
        **os.environ,
        "TUNERY_STORAGE": now.storage,
        "DATABASE_URL": now.database_url,
        "REDIS_URL": now.redis_url,
        "TUNERY_SECRET_KEYS": json.dumps([key.get_secret_value() for key in now.secret_keys]),
        "TUNERY_PROVIDER__BASE_URL": "http://unused",
        "TUNERY_PROVIDER__API_KEY": "unused",
    }
    command = [sys.executable, "-c", KILLED]
    with subprocess.Popen(command, env=environ, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)


def test_more_leftovers_than_are_judged_at_once(location: StorageLocation) -> None:
    if location.endpoint is not None:
        pytest.skip("a thousand requests, to see the same code")
    for number in range(storage.LEFTOVER_BATCH_IDS + 5):
        (Path(location.setting) / f"part_{number}").parent.mkdir(exist_ok=True)
        (Path(location.setting) / f"part_{number}").touch()
    assert len(storage.remove_leftovers(lambda _: set(), NOW)) == storage.LEFTOVER_BATCH_IDS + 5


@pytest.fixture
def refusing_bucket(receiver: Receiver, tmp_path: Path) -> Iterator[None]:
    """Answers every PUT with 501."""
    setting = f"s3://refusing/{tmp_path.name}"
    endpoint = receiver.url.removesuffix("/hook")
    with environment(variables(endpoint)), settings(TUNERY_STORAGE=setting):
        yield


def test_a_bucket_that_takes_nothing_is_an_os_error(server: str, refusing_bucket: None) -> None:
    with pytest.raises(OSError, match=r"^the bucket: [^\n]*501[^\n]*$"):
        store("file-1", b"x")


def test_a_bucket_that_is_away_is_an_os_error_and_not_a_missing_file(server: str, tmp_path: Path) -> None:
    away = variables(f"http://127.0.0.1:{closed_port()}")
    with environment(away), settings(TUNERY_STORAGE=f"s3://away/{tmp_path.name}"):
        with pytest.raises(OSError, match=r"^the bucket: ") as failed:
            storage.open_dataset("file-1")
        assert not isinstance(failed.value, FileNotFoundError)
        storage.Writer("file-1").discard()


def test_bytes_that_are_cut_off_are_noticed(location: StorageLocation) -> None:
    if location.endpoint is not None:
        pytest.skip("an object is whole, or is not there")
    store("part_a", b"abc")
    storage.join("file-1", ["part_a"])
    (Path(location.setting) / "part_a").write_bytes(b"a")
    with storage.open_dataset("file-1") as file, pytest.raises(OSError, match="part_a ends before its 3 bytes"):
        file.read()
