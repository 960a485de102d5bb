"""Makes the bytes of a dataset that was not uploaded: fetches them from a URL, or cuts them off another dataset."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from shared.database import transaction
from shared.datasets import quota
from shared.datasets.models import Dataset
from shared.datasets.read_progress import call_before_reads
from shared.datasets.sources import SplitSource
from shared.datasets.splitting import lines_of, validation_lines
from shared.datasets.storage import store
from shared.datasets.storage.store import Stored
from shared.errors import Invalid
from shared.settings import get_settings
from worker.net import http_client
from worker.runtime.steps import Lease

FETCH_TIMEOUT = timedelta(minutes=1)  # and a second more for each half megabyte


@dataclass(frozen=True)
class Part:
    """A part of a dataset that has passed its check."""

    whole: Dataset
    source: SplitSource


@dataclass(frozen=True)
class NotMade:
    """The bytes cannot be made, with the reason for the caller."""

    code: str
    message: str


def fetch(dataset: Dataset, url: str, lease: Lease[Dataset]) -> Stored | NotMade:
    """Download from an address that a caller has named, bounded in time, and in size by the project's quota too.

    `pause` is shorter than the lease: a server that sends nothing for so long would cost the step its row.
    """
    settings = get_settings()
    with transaction(dataset.project_id) as session:
        left = quota.bytes_left(session, dataset.project_id)
    most = settings.max_file_bytes if left is None else min(settings.max_file_bytes, left)
    if most == 0:
        return NotMade("quota_exceeded", "The project's quota of file bytes is used up: delete files")
    try:
        network = http_client.network_of(dataset.project_id)
        pieces = http_client.get(url, most, FETCH_TIMEOUT, pause=settings.lease * 0.6, network=network)
        return _store(dataset.id, lease.through(pieces))
    except http_client.Undeliverable as error:
        room = f". The project's quota leaves room for {left} bytes" if most == left else ""
        return NotMade("url_not_fetched", f"The address could not be fetched: {error}{room}")


def part_of(dataset_id: str, part: Part, lease: Lease[Dataset]) -> Stored | NotMade:
    """Read the whole dataset twice: to draw the lines of the validation part, and to copy the requested part."""
    source = part.source
    try:
        count = source.validation_examples(part.whole.examples or 0)
    except Invalid as error:
        return NotMade("invalid_source", error.message)
    with store.open_dataset(part.whole.id) as file:
        is_validation = validation_lines(count, source.seed, call_before_reads(file, lease.renew))
    if is_validation is None:
        return NotMade("invalid_source", f"All examples of {part.whole.id} are the same: they stay on one side")
    with store.open_dataset(part.whole.id) as file:
        return _store(dataset_id, lines_of(source.part, call_before_reads(file, lease.renew), is_validation))


def _store(dataset_id: str, chunks: Iterable[bytes]) -> Stored:
    store.remove(dataset_id)  # left by an attempt that crashed before its record
    return store.store(dataset_id, chunks)
