"""The hourly work of the scheduler: leftovers in the storage, the default account, the daily reconciliation."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from shared.datasets.service import new_dataset_id
from shared.datasets.storage.store import Writer
from shared.db.times import utc_now
from shared.projects.models import Credential
from shared.settings import get_settings
from tests.brokers import broker_at
from tests.worker.support import change, ids
from tests.world import Person, lines, row
from worker.runtime.scheduler import Scheduler, tidy


def stored(name: str, hours: float) -> Path:
    """Bytes of this age."""
    path = Path(get_settings().storage) / name
    path.touch()
    return aged(path, hours)


def aged(path: Path, hours: float) -> Path:
    long_ago = time.time() - hours * 3600
    os.utime(path, (long_ago, long_ago))
    return path


def test_bytes_without_a_row_are_removed_after_an_hour(alice: Person) -> None:
    orphan, young = stored(new_dataset_id(), 1.1), stored(new_dataset_id(), 0.9)
    tidy()
    assert (orphan.exists(), young.exists()) == (False, True)
    young.unlink()


def test_the_bytes_of_a_dataset_are_kept_however_old(alice: Person) -> None:
    file_id = alice.upload()
    aged(Path(get_settings().storage) / file_id, 10_000)
    tidy()
    assert alice.openai.files.content(file_id).content == lines()


def test_an_upload_that_was_cut_off_leaves_nothing_and_one_that_goes_on_is_not_disturbed(alice: Person) -> None:
    cut_off, going_on = Writer(new_dataset_id()), Writer(new_dataset_id())
    for writer in (cut_off, going_on):
        writer.write(b"x")
    (left,) = (path for path in Path(get_settings().storage).glob("*.part") if path.stem == cut_off.id)
    aged(left, 2)
    tidy()
    assert not left.exists()
    going_on.finish()
    assert (Path(get_settings().storage) / going_on.id).read_bytes() == b"x"
    for writer in (cut_off, going_on):
        writer.discard()


def test_files_of_other_names_are_kept(alice: Person) -> None:
    other = stored("lost+found", 10_000)
    tidy()
    assert other.exists()
    other.unlink()


def test_a_storage_that_does_not_exist_yet_is_no_error_and_the_default_account_is_made(alice: Person) -> None:
    assert ids(Credential) == []
    tidy()
    assert len(ids(Credential)) == 1


def test_each_account_is_reconciled_once_a_day(alice: Person) -> None:
    tidy()
    (account,) = ids(Credential)
    first = row(Credential, account).reconciled_at
    tidy()
    assert row(Credential, account).reconciled_at == first
    change(Credential, account, reconciled_at=utc_now() - timedelta(days=1.01))
    tidy()
    assert row(Credential, account).reconciled_at > first


def test_a_broker_that_is_down_is_logged_once_however_many_rounds_there_are(
    alice: Person, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = Scheduler()
    with broker_at("redis://127.0.0.1:1/0"):
        for _ in range(5):
            scheduler.run_round()
    told = [record.getMessage() for record in caplog.records if "Redis does not answer" in record.getMessage()]
    assert len(told) == 1
