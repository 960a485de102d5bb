"""Uploads when the storage or the database fails: the answer is a 503, and nothing is lost or left behind."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from openai import InternalServerError
from sqlalchemy import text

from shared.datasets.models import Dataset, UploadPart
from shared.settings import get_settings
from tests.api.uploading import DATA, begin, content, cut, refused, send_parts
from tests.servers import closed_port
from tests.storage_locations import StorageLocation, variables
from tests.worker.support import ids, settings
from tests.world import Person, as_owner, environment, row, work


@contextmanager
def hanging_up(table: str) -> Iterator[None]:
    """Postgres hangs up at the commit of a row of this table."""
    with as_owner() as session:
        session.execute(
            text(
                "create function hang_up() returns trigger language plpgsql security definer as"
                " $$ begin perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(1); return null; end $$"
            )
        )
        session.execute(
            text(
                f"create constraint trigger hang_up after insert on {table} deferrable initially deferred"
                " for each row execute function hang_up()"
            )
        )
    try:
        yield
    finally:
        with as_owner() as session:
            session.execute(text("drop function hang_up cascade"))


def test_bytes_stay_while_nobody_knows_whether_their_row_is_there(alice: Person, location: StorageLocation) -> None:
    upload = begin(alice)
    with hanging_up("upload_parts"), refused(503, "database_unavailable"):
        alice.openai.uploads.parts.create(upload.id, data=b"x")
    assert (ids(UploadPart), len(location.names())) == ([], 1)  # the sweep removes them if there is no row in an hour


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow beyond 100,000 bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def unreachable_bucket(server: str, tmp_path: Path) -> Iterator[None]:
    with (
        environment(variables(f"http://127.0.0.1:{closed_port()}")),
        settings(TUNERY_STORAGE=f"s3://away/{tmp_path.name}"),
    ):
        yield


@pytest.mark.parametrize("trouble", ["full_disk", "unreachable_bucket"])
def test_bytes_that_cannot_be_stored_are_a_503_and_leave_nothing(
    alice: Person, request: pytest.FixtureRequest, trouble: str
) -> None:
    upload, large = begin(alice, 3 << 20), b"x" * (3 << 20)
    folder = Path(get_settings().storage)
    before = set(folder.iterdir()) if folder.exists() else set()
    request.getfixturevalue(trouble)
    with refused(503, "storage_unavailable"):
        alice.openai.uploads.parts.create(upload.id, data=large)
    with refused(503, "storage_unavailable"):
        alice.openai.files.create(file=("a", large), purpose="fine-tune")
    assert (ids(UploadPart), ids(Dataset)) == ([], [])
    assert before == (set(folder.iterdir()) if folder.exists() else set())


def test_an_unreachable_bucket_loses_nothing(
    alice: Person, request: pytest.FixtureRequest, location: StorageLocation
) -> None:
    upload = begin(alice)
    sent = send_parts(alice, upload.id, cut(DATA))
    away = request.getfixturevalue("unreachable_bucket")
    assert away is None
    with pytest.raises(InternalServerError):
        alice.openai.uploads.complete(upload.id, part_ids=sent)
    with settings(TUNERY_STORAGE=location.setting):
        file = alice.openai.uploads.complete(upload.id, part_ids=sent).file
    assert file
    with refused(503, "storage_unavailable"):
        content(alice, file.id)
    work(3)
    assert row(Dataset, file.id).status == "uploaded"
    assert row(Dataset, file.id).failures == 0
    with settings(TUNERY_STORAGE=location.setting):
        work()
    assert row(Dataset, file.id).status == "processed"
