"""A process that checks ranges of a file for another one: `python -m shared.datasets.validation.scanning.child`."""

import sys
from typing import BinaryIO

from shared.datasets.storage.chunks import Source
from shared.datasets.storage.local import Folder
from shared.datasets.storage.location import place_at
from shared.datasets.validation.scanning.processes import Range, receive, send
from shared.datasets.validation.scanning.scan import Job, Scan


def open_again(source: Source) -> BinaryIO:
    place = place_at(source.storage)
    is_one = isinstance(place, Folder) and len(source.pieces) == 1
    return place.open(source.pieces[0].key) if is_one else place.open_across(source.pieces)


def serve() -> None:
    """Read where the file is and how to check it, then ranges, until the parent closes the pipe."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    source, job = receive(requests, Source), receive(requests, Job)
    if source is None or job is None:
        return
    scan = Scan(job)
    with open_again(source) as file:
        while (range_ := receive(requests, Range)) is not None:
            send(answers, scan.range(file, *range_))


if __name__ == "__main__":
    serve()
