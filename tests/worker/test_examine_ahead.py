"""A large file is examined while it is uploaded: its check has little left to do, and finds the same as without."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from io import FileIO
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from celery import Celery
from openai import APIConnectionError

from api.main import create_app
from shared.broker.queue import WORK, Task
from shared.database import transaction
from shared.datasets import reports
from shared.datasets.models import Dataset, DatasetStatus
from shared.datasets.storage import store
from shared.datasets.storage.ahead import AHEAD, BEGINS_AT_BYTES, MAX_LINE_BYTES, SLICE_BYTES, slices_of
from shared.datasets.validation.check import check, options_ahead
from shared.datasets.validation.findings.report import Report
from shared.datasets.validation.scanning import ahead as scanning
from shared.settings import get_settings
from tests.installation import Deployment, database, deployed, first_person
from tests.servers import serving, until
from tests.worker.support import settings
from tests.world import Person, row, step
from worker.datasets import examine_ahead

pytestmark = pytest.mark.timeout(600)  # what is done at a low priority takes long on a busy machine
TEXT = "The quick brown fox jumps over the lazy dog and writes down what it has seen on its way. " * 300
LINE = '{"messages": [{"role": "user", "content": "%d. %s"}, {"role": "assistant", "content": "It is %d."}]}\n'
ENOUGH = BEGINS_AT_BYTES + MAX_LINE_BYTES + SLICE_BYTES
HELD_AT = ENOUGH + (4 << 20)  # the last megabytes that were sent need not have been written


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file of five slices and some more."""
    path = tmp_path_factory.mktemp("large") / "train.jsonl"
    with path.open("wb") as file:
        for number in range((HELD_AT + 5_000_000) // len(LINE % (10_000, TEXT, 10_000))):
            file.write((LINE % (number, TEXT, number)).encode())
    yield path
    path.unlink()


@pytest.fixture
def storage(clean: str, tmp_path: Path) -> Iterator[Path]:
    """The folder that the api's and the worker's files lie in."""
    with settings(TUNERY_STORAGE=str(tmp_path / "files")):
        yield tmp_path / "files"
    shutil.rmtree(tmp_path / "files")


@pytest.fixture
def patient(alice: Person, storage: Path) -> Iterator[Person]:
    """Alice, at an api that waits as long as a busy machine takes between two bytes of a file."""
    with settings(TUNERY_BODY_TIMEOUT="1000"):
        app = create_app()
    with serving(app) as address, closing(Person(f"{address}/v1", alice.api_key, alice.project_id)) as person:
        yield person


class Held(FileIO):
    """A file of which most is sent before `meanwhile` is called, and the rest after it."""

    def __init__(self, path: Path, meanwhile: Callable[[], object]) -> None:
        super().__init__(path)
        self._meanwhile: Callable[[], object] | None = meanwhile

    def read(self, size: int | None = -1, /) -> bytes:
        meanwhile = self._meanwhile
        if meanwhile is not None and self.tell() >= HELD_AT:
            self._meanwhile = None
            meanwhile()
        return super().read(size)


def files(ending: str = AHEAD) -> list[Path]:
    return list(Path(get_settings().storage).glob(f"file-*{ending}"))


def come_to(size: int) -> str:
    """Wait until so much of a file has come; its id."""
    unfinished = until(lambda: [path for path in files(".part") if path.stat().st_size >= size], f"{size} bytes")
    return unfinished[0].name.partition(".")[0]


def upload(person: Person, path: Path, meanwhile: Callable[[], object], purpose: Any = "fine-tune") -> str:
    with Held(path, meanwhile) as file:
        return person.openai.files.create(file=("train.jsonl", file), purpose=purpose).id


def examine_all() -> None:
    """Examine all that has come: what one turn leaves, at the usual priority, for a busy machine might take minutes."""
    dataset_id = come_to(ENOUGH)
    examine_ahead.examine_unfinished(dataset_id)
    with store.open_unfinished(dataset_id) as file, store.open_ahead(dataset_id, file) as found:
        options = options_ahead(file)
        assert options is not None
        scanning.examine_ahead(file, found, options, lambda: True)
        assert scanning.Known(found, options, HELD_AT).bytes == slices_of(ENOUGH) * SLICE_BYTES


def report_of(dataset_id: str) -> Report | None:
    with transaction() as session:
        report = reports.of_dataset(session, dataset_id)
        return report and msgspec.structs.replace(report, problems=reports.problems(session, dataset_id))


def test_what_was_examined_ahead_is_checked_and_counted_in_one_step(
    patient: Person, storage: Path, large: Path
) -> None:
    dataset_id = upload(patient, large, examine_all)
    assert len(files()) == 1
    step(Dataset, dataset_id)
    assert row(Dataset, dataset_id).status is DatasetStatus.PROCESSED
    assert report_of(dataset_id) == check(large)
    assert files() == []


def test_an_upload_that_breaks_off_leaves_nothing(patient: Person, large: Path) -> None:
    def examine_and_break_off() -> None:
        examine_ahead.examine_unfinished(come_to(ENOUGH))
        assert len(files()) == 1
        raise ConnectionError("the client is gone")

    with pytest.raises((APIConnectionError, ConnectionError)):
        upload(patient, large, examine_and_break_off)
    until(lambda: not [*files(), *files(".part")], "the removal of what had come")


def test_what_is_no_training_file_is_not_examined(patient: Person, large: Path) -> None:
    upload(patient, large, lambda: come_to(ENOUGH), purpose="user_data")
    assert files() == []


def test_a_check_does_without_what_was_found_in_another_file(patient: Person, storage: Path, large: Path) -> None:
    dataset_id = upload(patient, large, examine_all)
    whole = storage / dataset_id
    copy = whole.with_name("copy")
    copy.write_bytes(whole.read_bytes())
    copy.rename(whole)  # as a backup restores it
    with store.open_dataset(dataset_id) as file, pytest.raises(FileNotFoundError):
        store.open_ahead(dataset_id, file)
    store.remove(dataset_id)
    assert files() == []


def test_a_message_for_an_upload_that_has_ended_does_nothing(alice: Person) -> None:
    examine_ahead.examine("file-none", alice.project_id)


def wait_for_results(deployment: Deployment, person: Person) -> None:
    """Wait until a worker has kept results, and send the api's message again meanwhile.

    At their low priority, on a busy machine, the turns of the api's own messages may have ended too early.
    """
    [path] = until(lambda: list((deployment.folder / "files").glob(f"*{AHEAD}")), "the file of results")
    rung = time.monotonic()

    def is_kept() -> bool:
        nonlocal rung
        if time.monotonic() > rung + 2 * examine_ahead.TURN_SECONDS:
            rung = time.monotonic()
            headers = {"project_id": person.project_id}
            celery.send_task(Task.EXAMINE_AHEAD, [path.name.partition(".")[0]], queue=WORK[0], headers=headers)
        return path.stat().st_size > scanning.FIRST_BYTE

    with Celery(broker=deployment.broker.url(deployment.broker_port), set_as_current=False) as celery:
        until(is_kept, "results that a worker has kept", patience=400)


def test_real_servers_find_the_same_though_their_worker_is_killed_during_the_upload(
    postgres_url: str, tmp_path: Path, large: Path
) -> None:
    with (
        database(postgres_url) as url,
        deployed(url, tmp_path, TUNERY_LEASE="30", TUNERY_BODY_TIMEOUT="1000") as deployment,
        closing(first_person(deployment)) as person,
    ):

        def start_worker() -> None:
            deployment.kill("worker")
            deployment.steps_at_once = 4
            worker = deployment.start("worker")
            until(lambda: len(psutil.Process(worker.process.pid).children()) == 4, "the start of the worker")

        def kill_worker() -> None:
            wait_for_results(deployment, person)
            start_worker()

        try:
            start_worker()
            dataset_id = upload(person, large, kill_worker)

            def counted() -> dict[str, Any]:
                shown = person.http.get(f"/datasets/{dataset_id}").json()
                return shown if shown["tokens_counted"] else {}

            shown, expected = until(counted, "the count of its tokens"), check(large)
            assert (shown["status"], shown["examples"]) == ("processed", expected.examples)
            assert (shown["counts"], shown["sha256"]) == (expected.counts, expected.sha256)
            assert shown["statistics"]["tokens"] == msgspec.to_builtins(expected.statistics.tokens)
            assert list((deployment.folder / "files").iterdir()) == [deployment.folder / "files" / dataset_id]
        except BaseException:
            deployment.print_logs()
            raise
