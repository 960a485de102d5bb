"""A backup's folder: the database's dump, a file for each file of a project, the list of these, and the manifest.

The manifest has the hash of the dump and of the list, and the list the hash of each file. It is written last, so that a
backup that was cut off has none.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from hashlib import file_digest, sha256
from pathlib import Path
from typing import NamedTuple

from cli.failure import Failure
from shared.datasets.storage.chunks import Sink
from shared.datasets.storage.local import Folder

FORMAT = 1
MANIFEST, DUMP, LIST, FILES = "manifest.json", "database.dump", "files.jsonl", "files"
_ID = re.compile(r"(file-|part_)\w+")


class File(NamedTuple):
    """A file that a row names: its id, its size and the SHA-256 of its bytes in hexadecimal."""

    id: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a whole backup has: `owner` made it, `keys` are the ids of the keys that its secrets need."""

    format: int
    version: str
    made_at: str
    revision: str
    owner: str
    keys: list[str]
    files: int
    file_bytes: int
    dump_sha256: str
    list_sha256: str


class Hashing:
    """A sink that hashes what it passes on."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._hash = sha256()

    def write(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self._sink.write(memoryview(chunk))

    def finish(self) -> str:
        """The SHA-256 of what is now on the disk, in hexadecimal."""
        self._sink.finish()
        return self._hash.hexdigest()


@contextmanager
def writing(folder: Path, name: str) -> Iterator[Hashing]:
    sink = Folder(str(folder)).sink(name)
    try:
        yield Hashing(sink)
    finally:
        sink.close()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    Folder(str(folder)).put(MANIFEST, json.dumps(asdict(manifest), indent=2).encode())


def read_manifest(folder: Path) -> Manifest:
    """Raises `Failure` if this is no whole backup, or one that this version cannot read."""
    try:
        found = json.loads((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise Failure(
            f"{folder} is no whole backup: it has no {MANIFEST}, which is written last. It was cut off, or is another "
            "folder."
        ) from None
    except ValueError:
        raise _damaged(folder / MANIFEST) from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise Failure(
            f"{folder / MANIFEST} has another format than {FORMAT}: restore it with the version that made it."
        )
    if found.keys() != {field.name for field in fields(Manifest)}:
        raise _damaged(folder / MANIFEST)
    return Manifest(**found)


def listed(folder: Path) -> Iterator[File]:
    """Raises `Failure` for a line that no backup writes."""
    with (folder / LIST).open(encoding="utf-8") as lines:
        for line in lines:
            try:
                file = File(**json.loads(line))
            except (ValueError, TypeError):
                raise _damaged(folder / LIST) from None
            if not _ID.fullmatch(file.id):
                raise _damaged(folder / LIST)
            yield file


def check(folder: Path, manifest: Manifest) -> None:
    """Reads everything once. Raises `Failure`, which names the file that is missing or not what was written."""
    _check(folder / DUMP, manifest.dump_sha256)
    _check(folder / LIST, manifest.list_sha256)
    for file in listed(folder):
        _check(folder / FILES / file.id, file.sha256)


def _check(path: Path, expected: str) -> None:
    try:
        if _sha256(path) != expected:
            raise _damaged(path)
    except FileNotFoundError:
        raise Failure(f"{path} is missing, which belongs to the backup. Nothing was restored.") from None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _damaged(path: Path) -> Failure:
    return Failure(f"{path} is damaged: its bytes are not those that were written. Nothing was restored.")
